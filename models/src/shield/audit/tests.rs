//! Each attack on a log is found, and what is no attack is not.

use ed25519_dalek::SigningKey;
use serde_json::json;

use super::block::{Block, Builder};
use super::head::{Keys, SignedHead, TreeHead};
use super::merkle::{Frontier, Hash};
use super::month::Month;
use super::record::{Brief, Event, Outcome, Record};
use super::report::{FINDINGS_MAX, Origin, Report};
use super::verify::Verifier;

const START_US: i64 = 1_795_239_660_000_000;
const DAY_US: i64 = 86_400_000_000;

/// A whole log: a head after every block, and a frontier with the last one of each month.
#[derive(Clone)]
struct Log {
    blocks: Vec<Block>,
    heads: Vec<SignedHead>,
    size: u64,
    root: Hash,
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn keys() -> Keys {
    Keys::from_iter([key().verifying_key()])
}

/// About 250 bytes a line.
fn record(i: u64, at_us: i64, salt: &str) -> Record {
    let (third, seventh) = (i.is_multiple_of(3), i.is_multiple_of(7));
    let events = [Event::fixed("budget.settled"), Event::fixed("consent.granted")];
    Record {
        at_us,
        event: events[(i % 2) as usize].clone(),
        actor: "key:ab12cd34".into(),
        subject: Some(format!("camp_{salt}{:04}", i % 1_000)),
        person: third.then(|| format!("{:032x}", i % 200)),
        outcome: if seventh { Outcome::Denied } else { Outcome::Ok },
        count: 1 + u64::from(seventh),
        data:
            json!({"amount": format!("{i}.000000"), "currency": "USD", "hold": format!("{i:032x}")})
                .as_object()
                .cloned(),
        sealed: third.then(|| "q83vEjRWeJASNFZ4kBI0VniQEjRWeJASNFZ4kBI0".to_owned()),
    }
}

/// A log of blocks of `per_block` records, one record each `step_us`.
fn log_of(account: &str, salt: &str, records: u64, per_block: u32, step_us: i64) -> Log {
    let (mut builder, mut blocks) = (Builder::new(0, 0, None), Vec::new());
    for i in 0..records {
        let line = record(i, START_US + i as i64 * step_us, salt).line().unwrap();
        blocks.extend(builder.push(&line, &Brief::parse(&line).unwrap()).unwrap());
        if builder.pending() >= per_block {
            blocks.extend(builder.take());
        }
    }
    blocks.extend(builder.take());
    let (mut frontier, mut prev, mut heads) = (Frontier::new(), Hash::ZERO, Vec::new());
    for (i, block) in blocks.iter().enumerate() {
        block.leaves().for_each(|leaf| frontier.push(leaf));
        let (size, root) = (frontier.size(), frontier.root());
        let head = TreeHead { account: account.into(), size, root, at_us: block.at_to, prev };
        let mut head = head.sign(&key());
        if blocks.get(i + 1).is_some_and(|next| next.month != block.month) {
            head = head.with_frontier(frontier.clone()).unwrap();
        }
        prev = head.hash();
        heads.push(head);
    }
    Log { blocks, heads, size: frontier.size(), root: frontier.root() }
}

/// 1,000 records in 20 blocks of 50.
fn log() -> Log {
    log_of("default", "", 1_000, 50, 1_000_000)
}

fn verify_from(log: &Log, start: Option<&SignedHead>, exported: &[SignedHead]) -> Report {
    let mut verifier = Verifier::new("default", start, exported.to_vec(), keys());
    log.heads.chunks(7).for_each(|page| verifier.heads(page));
    log.blocks.iter().for_each(|block| verifier.block(block));
    verifier.finish(log.size, log.root)
}

fn verify(log: &Log, exported: &[SignedHead]) -> Report {
    verify_from(log, None, exported)
}

fn codes(report: &Report) -> Vec<&'static str> {
    assert_eq!(report.verified, report.findings.is_empty());
    report.findings.iter().map(|finding| finding.code()).collect()
}

/// Changes a log, and makes its row say what is there then: an attacker would.
fn after(bend: impl FnOnce(&mut Log)) -> Log {
    let mut log = log();
    bend(&mut log);
    let mut frontier = Frontier::new();
    log.blocks.iter().flat_map(Block::leaves).for_each(|leaf| frontier.push(leaf));
    (log.size, log.root) = (frontier.size(), frontier.root());
    log
}

fn without_line(block: &mut Block, at: usize) {
    let mut lines: Vec<&str> = block.lines.split('\n').collect();
    lines.remove(at);
    block.lines = lines.join("\n");
}

#[test]
fn an_untouched_log_verifies_with_and_without_exported_heads() {
    let log = log();
    let report = verify(&log, &[]);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!((report.records, report.blocks, report.heads), (1_000, 20, 20));
    assert_eq!((report.size, report.root, report.unsigned), (1_000, log.root, 0));
    let mut shuffled = log.heads.clone();
    shuffled.reverse();
    shuffled.push(log.heads[3].clone());
    let report = verify(&log, &shuffled);
    assert_eq!((codes(&report).len(), report.exported), (0, 20));
    assert!(verify(&Log { heads: Vec::new(), ..log }, &[]).unsigned == 1_000);
    let nothing = Verifier::new("default", None, Vec::new(), keys());
    assert!(nothing.finish(0, super::merkle::empty_root()).verified);
}

#[test]
fn a_flipped_byte_is_found_wherever_it_is() {
    let clean = log();
    let bytes = clean.blocks[4].lines.len();
    for at in (0..bytes).step_by(97) {
        let log = after(|log| {
            let mut lines = log.blocks[4].lines.clone().into_bytes();
            lines[at] ^= 1;
            log.blocks[4].lines = String::from_utf8(lines).unwrap();
        });
        let report = verify(&log, &[]);
        let differs = report.findings.iter().find(|f| f.code() == "root_differs");
        let words = differs.expect("the root differs").to_string();
        assert!(words.starts_with("records from 200 up to the head of 250 are not"), "{words}");
        assert!(codes(&verify(&log, &clean.heads[4..5])).contains(&"rewritten"));
    }
}

#[test]
fn a_deleted_block_is_found() {
    let report = verify(&after(|log| drop(log.blocks.remove(6))), &[]);
    assert_eq!(codes(&report), ["block_order", "root_differs", "truncated"]);
    assert_eq!(report.findings[0].position(), 300);
    let renumbered = after(|log| {
        log.blocks.remove(6);
        for block in &mut log.blocks[6..] {
            block.number -= 1;
            block.first -= 50;
        }
    });
    assert_eq!(codes(&verify(&renumbered, &[])), ["root_differs", "truncated"]);
}

#[test]
fn a_record_deleted_in_the_middle_is_found() {
    let log = after(|log| without_line(&mut log.blocks[9], 20));
    let found = codes(&verify(&log, &[]));
    assert_eq!(found, ["line_count", "block_facts", "root_differs", "truncated"]);
}

#[test]
fn reordered_blocks_and_reordered_records_are_found() {
    let report = verify(&after(|log| log.blocks.swap(2, 3)), &[]);
    assert_eq!(codes(&report), ["block_order", "root_differs", "block_order", "block_order"]);
    let log = after(|log| {
        let mut lines: Vec<&str> = log.blocks[2].lines.split('\n').collect();
        lines.swap(10, 11);
        log.blocks[2].lines = lines.join("\n");
    });
    assert_eq!(codes(&verify(&log, &[])), ["root_differs"]);
}

#[test]
fn a_truncated_tail_is_found_by_the_heads_that_reach_beyond_it() {
    let clean = log();
    let report = verify(&after(|log| log.blocks.truncate(15)), &[]);
    assert_eq!(codes(&report), ["truncated"]);
    let words = report.findings[0].to_string();
    assert_eq!(words, "the log ends after 750 records, but 5 stored head(s) reach up to 1000");
    // With their heads cut off as well, only an exported one still knows.
    let log = after(|log| {
        log.blocks.truncate(15);
        log.heads.truncate(15);
    });
    assert_eq!(codes(&verify(&log, &[])), [""; 0]);
    assert_eq!(codes(&verify(&log, &clean.heads[19..])), ["truncated"]);
    // And with the row of the log left as it was, that says so.
    let log = Log { size: 1_000, root: clean.root, ..log };
    assert_eq!(codes(&verify(&log, &[])), ["log_row"]);
}

#[test]
fn a_log_rewritten_whole_with_the_key_is_found_by_exported_heads_alone() {
    let clean = log();
    let forged = log_of("default", "forged", 1_000, 50, 1_000_000);
    assert_eq!(codes(&verify(&forged, &[])), [""; 0], "the store cannot know");
    let report = verify(&forged, &clean.heads[10..12]);
    assert_eq!(codes(&report), ["rewritten"]);
    let words = report.findings[0].to_string();
    assert!(words.contains("records from 0 up to the exported head of 550"), "{words}");
    // Rewritten from the middle on: the last exported head that agrees says from where.
    let mut half = forged.clone();
    half.blocks.splice(..10, clean.blocks[..10].iter().cloned());
    half.heads.clear();
    let report = verify(&half, &[clean.heads[4].clone(), clean.heads[14].clone()]);
    let words = report.findings[0].to_string();
    assert!(words.contains("records from 250 up to the exported head of 750"), "{words}");
}

#[test]
fn old_heads_in_place_of_newer_ones_are_found_by_exported_heads() {
    let clean = log();
    let log = after(|log| log.heads.truncate(12));
    let report = verify(&log, &[]);
    assert_eq!((codes(&report).len(), report.unsigned), (0, 400));
    let report = verify(&log, &clean.heads);
    assert_eq!(codes(&report), ["head_gone"]);
    let words = report.findings[0].to_string();
    assert!(words.starts_with("8 exported head(s), the first of 650 records"), "{words}");
}

#[test]
fn heads_that_are_repeated_reordered_left_out_or_foreign_are_found_without_exported_ones() {
    let bent = |bend: fn(&mut Vec<SignedHead>)| codes(&verify(&after(|l| bend(&mut l.heads)), &[]));
    assert_eq!(bent(|heads| heads.insert(5, heads[4].clone())), ["head_replayed"]);
    assert_eq!(bent(|heads| heads.push(heads[3].clone())), ["head_replayed"]);
    assert_eq!(bent(|heads| heads[9] = heads[3].clone()), ["head_replayed", "head_chain"]);
    assert_eq!(bent(|heads| heads.swap(8, 9)), ["head_chain", "head_replayed"]);
    assert_eq!(bent(|heads| drop(heads.remove(4))), ["head_chain"]);
    assert_eq!(bent(|heads| drop(heads.remove(0))), ["head_chain"]);
    let foreign = |heads: &mut Vec<SignedHead>| {
        heads.insert(2, log_of("other", "", 1_000, 50, 1_000_000).heads[2].clone());
    };
    assert_eq!(bent(foreign), ["foreign_head"]);
}

#[test]
fn a_head_that_the_key_has_not_signed_is_found() {
    let bent = |bend: fn(&mut Vec<SignedHead>)| codes(&verify(&after(|l| bend(&mut l.heads)), &[]));
    assert_eq!(bent(|heads| heads[19].head.at_us += 1), ["bad_signature"]);
    assert_eq!(bent(|heads| heads[5].signature[9] ^= 1), ["bad_signature", "head_chain"]);
    let stranger = |heads: &mut Vec<SignedHead>| {
        let head = heads[19].head.clone();
        heads[19] = head.sign(&SigningKey::from_bytes(&[8; 32]));
    };
    assert_eq!(bent(stranger), ["unknown_key"]);
    let (log, mut exported) = (log(), log().heads[3..4].to_vec());
    exported[0].head.root = Hash::ZERO;
    let report = verify(&log, &exported);
    assert_eq!(codes(&report), ["bad_signature"]);
    assert!(report.findings[0].to_string().contains(&Origin::Exported.to_string()));
}

#[test]
fn a_row_that_says_something_else_than_its_lines_is_found() {
    let bent = |bend: fn(&mut Block)| codes(&verify(&after(|l| bend(&mut l.blocks[3])), &[]));
    let count = |b: &mut Block| b.summary.count(&Event::fixed("budget.settled"), Outcome::Ok, 1);
    assert_eq!(bent(count), ["block_facts"]);
    assert_eq!(bent(|b| drop(b.persons.pop_first())), ["block_facts"]);
    assert_eq!(bent(|b| b.at_to += 1), ["block_facts"]);
    assert_eq!(bent(|b| b.at_from -= 1), ["block_facts"]);
    assert_eq!(bent(|b| b.count += 1), ["line_count", "block_order"]);
    let month = bent(|b| b.month = b.month.next());
    assert_eq!(month[0], "block_facts");
}

#[test]
fn whole_months_can_be_dropped_and_the_rest_still_verifies_from_the_kept_head() {
    // Four months, two records a day.
    let whole = log_of("default", "", 240, 20, DAY_US / 2);
    let kept: Vec<SignedHead> =
        whole.heads.iter().filter(|head| head.frontier.is_some()).cloned().collect();
    assert_eq!(kept.len(), 4, "a head with a frontier closes each month");
    assert!(verify(&whole, &whole.heads).verified);
    let cut = |head: &SignedHead| cut_at(&whole, head, START_US + 200 * DAY_US);
    let start = &cut(&kept[1]);
    let first = start.head.size;
    let drop_months = |log: &mut Log| {
        log.blocks.retain(|block| block.first >= first);
        log.heads.retain(|head| head.head.size >= first || head.frontier.is_some());
    };
    let mut log = whole.clone();
    drop_months(&mut log);
    let report = verify_from(&log, Some(start), &whole.heads);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!((report.first, report.size, report.root), (first, 240, whole.root));
    assert_eq!(report.dropped.map(|month| month.to_string()).as_deref(), Some("2026-12"));
    assert_eq!(report.records, 240 - first);
    let before = whole.heads.iter().filter(|head| head.head.size < first).count() as u64;
    assert_eq!(report.exported_before_first, before);

    // Heads of what is left, without those of before, do as well.
    let mut later = log.clone();
    later.heads.retain(|head| head.head.size > first);
    assert!(verify_from(&later, Some(start), &[]).verified);
    assert!(verify_from(&later, Some(start), &whole.heads).verified);
    later.heads.remove(0);
    assert_eq!(codes(&verify_from(&later, Some(start), &[])), ["head_chain"]);

    let mut short = log.clone();
    short.blocks.remove(0);
    let found = codes(&verify_from(&short, Some(start), &[]));
    assert_eq!(found, ["block_order", "root_differs", "truncated", "log_row"]);
    let mut bent = log.clone();
    bent.blocks[1].lines = bent.blocks[1].lines.replacen("camp", "cam_", 1);
    assert!(codes(&verify_from(&bent, Some(start), &[])).contains(&"root_differs"));
    let bare = SignedHead { frontier: None, ..start.clone() };
    assert_eq!(codes(&verify_from(&log, Some(&bare), &[]))[0], "bad_start");
    let mut false_start = start.clone();
    false_start.frontier = kept[2].frontier.clone();
    assert_eq!(codes(&verify_from(&log, Some(&false_start), &[]))[0], "bad_start");
}

/// The head with the word that all before it was dropped then.
fn cut_at(log: &Log, head: &SignedHead, at_us: i64) -> SignedHead {
    let last = log.blocks.iter().rfind(|block| block.first < head.head.size).unwrap();
    head.clone().with_cut(last.month, at_us, &key()).unwrap()
}

/// What is left of a log whose first `first` records are gone.
fn rest_of(whole: &Log, first: u64) -> Log {
    let mut log = whole.clone();
    log.blocks.retain(|block| block.first >= first);
    log.heads.retain(|head| head.head.size >= first);
    log
}

#[test]
fn a_beginning_that_is_gone_without_a_signed_cut_of_just_that_place_is_found() {
    let whole = log_of("default", "", 240, 20, DAY_US / 2);
    let later = START_US + 200 * DAY_US;
    // Any signed head can be made to look like a kept one: its frontier follows from the lines.
    let mut frontier = Frontier::new();
    whole.blocks[..3].iter().flat_map(Block::leaves).for_each(|leaf| frontier.push(leaf));
    let forged = whole.heads[2].clone().with_frontier(frontier).unwrap();
    let rest = rest_of(&whole, forged.head.size);
    for exported in [&whole.heads[..], &[]] {
        let report = verify_from(&rest, Some(&forged), exported);
        assert_eq!(codes(&report), ["dropped_without_cut"]);
        assert_eq!((report.findings[0].position(), report.dropped), (forged.head.size, None));
    }
    // A cut of another head, of another month, or of another key does not stand for it.
    let kept = whole.heads.iter().find(|head| head.frontier.is_some()).unwrap();
    let cut = cut_at(&whole, kept, later).cut.unwrap();
    let moved = SignedHead { cut: Some(cut.clone()), ..forged.clone() };
    assert_eq!(codes(&verify_from(&rest, Some(&moved), &[])), ["bad_cut"]);
    let rest = rest_of(&whole, kept.head.size);
    let mut aged = SignedHead { cut: Some(cut), ..kept.clone() };
    assert_eq!(codes(&verify_from(&rest, Some(&aged), &[])), [""; 0]);
    if let Some(cut) = &mut aged.cut {
        cut.month = cut.month.next();
    }
    assert_eq!(codes(&verify_from(&rest, Some(&aged), &[])), ["bad_cut"]);
    let stranger = SigningKey::from_bytes(&[8; 32]);
    let foreign = kept.clone().with_cut(whole.blocks[0].month, later, &stranger).unwrap();
    assert_eq!(codes(&verify_from(&rest, Some(&foreign), &[])), ["bad_cut"]);
}

#[test]
fn months_that_were_dropped_before_their_time_are_found() {
    let whole = log_of("default", "", 240, 20, DAY_US / 2);
    let kept: Vec<&SignedHead> = whole.heads.iter().filter(|h| h.frontier.is_some()).collect();
    let (later, start) = (START_US + 200 * DAY_US, kept[1]);
    let rest = rest_of(&whole, start.head.size);
    let end_us = Month::of(whole.heads[0].head.at_us).unwrap().next().end_us();
    let verify = |start: &SignedHead, since_us, exported: &[SignedHead]| {
        let mut verifier = Verifier::new("default", Some(start), exported.to_vec(), keys());
        verifier.kept_since(since_us);
        verifier.heads(&rest.heads);
        rest.blocks.iter().for_each(|block| verifier.block(block));
        codes(&verifier.finish(rest.size, rest.root))
    };
    let cut = cut_at(&whole, start, later);
    assert_eq!(verify(&cut, i64::MAX, &whole.heads), [""; 0]);
    assert_eq!(verify(&cut, end_us, &whole.heads), [""; 0]);
    assert_eq!(verify(&cut, end_us - 30 * DAY_US, &whole.heads), ["dropped_early"]);
    // Even who is not told how long: no month is over before its end.
    let hasty = cut_at(&whole, start, end_us - 1);
    assert_eq!(verify(&hasty, i64::MAX, &[]), ["dropped_early"]);
    // Somebody with the key says of young records that they were old: heads outside know better.
    let old = whole.blocks[0].month;
    let said = start.clone().with_cut(old, later, &key()).unwrap();
    assert_eq!(verify(&said, i64::MAX, &[]), [""; 0], "the store cannot know");
    assert_eq!(verify(&said, i64::MAX, &whole.heads), ["dropped_younger"]);
}

#[test]
fn a_log_of_which_all_was_dropped_verifies_from_its_end() {
    let mut whole = log_of("default", "", 240, 20, DAY_US / 2);
    let mut frontier = Frontier::new();
    whole.blocks.iter().flat_map(Block::leaves).for_each(|leaf| frontier.push(leaf));
    let last = whole.heads.pop().unwrap().with_frontier(frontier).unwrap();
    let start = cut_at(&whole, &last, START_US + 200 * DAY_US);
    let empty = Log { blocks: Vec::new(), heads: vec![start.clone()], ..whole.clone() };
    let report = verify_from(&empty, Some(&start), &whole.heads);
    assert_eq!(codes(&report), [""; 0]);
    assert_eq!((report.first, report.size, report.records), (240, 240, 0));
    assert_eq!(codes(&verify_from(&empty, Some(&last), &[])), ["dropped_without_cut"]);
}

#[test]
fn an_erased_person_changes_nothing() {
    // The key of the sealed fields is destroyed; the lines stay as they were hashed, and nothing in
    // a verification, nor in reading a record, needs the key.
    let log = log();
    let lines = || log.blocks.iter().flat_map(Block::lines);
    let sealed = |line: &str| Record::parse(line).unwrap().sealed.is_some();
    assert_eq!(lines().filter(|line| sealed(line)).count(), 334);
    assert!(verify(&log, &log.heads).verified);
    // To blank the sealed fields instead would be found.
    let blanked = after(|log| {
        log.blocks[0].lines = log.blocks[0].lines.replace("q83v", "AAAA");
    });
    assert_eq!(codes(&verify(&blanked, &[])), ["root_differs"]);
}

#[test]
fn the_list_of_findings_is_bounded_and_they_are_counted_all_the_same() {
    let log = after(|log| log.blocks.iter_mut().for_each(|b| b.lines = b.lines.replace('{', "[")));
    let report = verify(&log, &[]);
    assert_eq!(report.findings.len(), FINDINGS_MAX);
    assert!(report.findings_total > 1_000 && !report.verified);
    let json = serde_json::to_value(&report).unwrap();
    let first = &json["findings"][0];
    assert_eq!((&first["code"], &first["position"]), (&json!("malformed"), &json!(0)));
    assert_eq!(first["words"], json!("record 0 in block 0 is not a record"));
}
