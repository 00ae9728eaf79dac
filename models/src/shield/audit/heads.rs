//! Many heads: the exported file, one head a line, and which of them are the installation's word.

use super::head::{BadHead, BadSignature, Keys, SignedHead};
use super::merkle::Hash;

/// Heads of one account that are taken from exported files: a head each minute for ten years is
/// five times as many, so a file is thinned or cut before it reaches this.
pub const HEADS_MAX: usize = 1_000_000;

/// A line of an exported file that cannot be used. `line` counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadHeads {
    #[error("line {line}: {why}")]
    Line { line: u64, why: BadHead },
    #[error("line {line}: more than {HEADS_MAX} heads of one account")]
    TooMany { line: u64 },
}

/// Reads an exported file line by line and keeps the heads of one account: a file may hold those of
/// many.
#[derive(Clone, Debug)]
pub struct HeadsFile {
    account: String,
    line: u64,
    heads: Vec<SignedHead>,
}

impl HeadsFile {
    /// Nothing read yet.
    pub fn new(account: &str) -> HeadsFile {
        HeadsFile { account: account.to_owned(), line: 0, heads: Vec::new() }
    }

    /// Reads one line; an empty one is passed over.
    pub fn line(&mut self, text: &str) -> Result<(), BadHeads> {
        self.line += 1;
        let (line, text) = (self.line, text.trim());
        if text.is_empty() {
            return Ok(());
        }
        let head = SignedHead::parse(text).map_err(|why| BadHeads::Line { line, why })?;
        if head.head.account == self.account {
            if self.heads.len() >= HEADS_MAX {
                return Err(BadHeads::TooMany { line });
            }
            self.heads.push(head);
        }
        Ok(())
    }

    /// The heads read.
    pub fn into_heads(self) -> Vec<SignedHead> {
        self.heads
    }
}

/// The heads of one account in a text of one head a line.
pub fn parse_heads(account: &str, text: &str) -> Result<Vec<SignedHead>, BadHeads> {
    let mut file = HeadsFile::new(account);
    text.lines().try_for_each(|line| file.line(line))?;
    Ok(file.into_heads())
}

/// The hash of each head and whether it is the installation's word.
///
/// A head that the next one names as `prev` needs no check of its own signature when that next one
/// is good: whoever signed the next one signed the hash of this one, signature included. So a chain
/// costs one signature check, and only broken chains cost more.
pub(super) fn authenticate(
    heads: &[SignedHead],
    keys: &Keys,
) -> Vec<(Hash, Result<(), BadSignature>)> {
    let mut checked: Vec<(Hash, Result<(), BadSignature>)> = Vec::with_capacity(heads.len());
    let mut vouched = None;
    for head in heads.iter().rev() {
        let hash = head.hash();
        let word = if vouched == Some(hash) { Ok(()) } else { head.verify(keys) };
        vouched = word.is_ok().then_some(head.head.prev);
        checked.push((hash, word));
    }
    checked.reverse();
    checked
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::super::head::TreeHead;
    use super::*;

    fn chain(seed: u8, count: u64) -> Vec<SignedHead> {
        let (key, mut prev) = (SigningKey::from_bytes(&[seed; 32]), Hash::ZERO);
        let head = |size| {
            let at_us = size as i64;
            let head = TreeHead { account: "a".into(), size, root: Hash::ZERO, at_us, prev };
            let signed = head.sign(&key);
            prev = signed.hash();
            signed
        };
        (0..count).map(head).collect()
    }

    #[test]
    fn an_error_in_a_file_names_its_line_and_other_accounts_are_passed_over() {
        let heads = chain(1, 3);
        let text: Vec<String> = heads.iter().map(|head| head.line().unwrap()).collect();
        let text = format!("{}\n\n{}\r\n{}\n", text[0], text[1], text[2]);
        assert_eq!(parse_heads("a", &text), Ok(heads));
        assert_eq!(parse_heads("b", &text), Ok(Vec::new()));
        let error = parse_heads("a", &format!("{text}{{\"size\":")).unwrap_err();
        assert!(matches!(error, BadHeads::Line { line: 5, .. }), "{error}");
    }

    #[test]
    fn a_chain_stands_on_its_last_signature_and_a_bent_link_stands_alone() {
        let mut heads = chain(1, 6);
        let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
        let keys = Keys::from_iter([key]);
        let words = |heads: &[SignedHead]| -> Vec<bool> {
            authenticate(heads, &keys).iter().map(|(_, word)| word.is_ok()).collect()
        };
        assert_eq!(words(&heads), [true; 6]);
        heads[2].signature[0] ^= 1;
        assert_eq!(words(&heads), [true, true, false, true, true, true]);
        heads[5].head.size += 1;
        assert_eq!(words(&heads), [true, true, false, true, true, false]);
        assert_eq!(words(&chain(2, 2)), [false, false], "a chain of another key is nobody's word");
    }
}
