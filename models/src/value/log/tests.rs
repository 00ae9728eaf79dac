use super::day::Day;
use super::format::Format;
use super::reader::Reader;
use super::reject::{LINE_BYTES_MAX, Reason};
use super::rows::Rows;

const SAMPLE: &[u8] = include_bytes!("../../../../tests/data/cdnow_sample.txt");

fn day(text: &str) -> Day {
    Day::any(text).unwrap()
}

type Told = Vec<Result<(String, String, i64), (u64, Reason)>>;

/// All rows of a log that comes in by chunks of this size.
fn told(format: Format, log: &[u8], chunk: usize) -> Told {
    let mut reader = Reader::new(format, day("2024-06-30"));
    let mut all = Told::new();
    let mut tell = |row: super::reader::Row<'_>| {
        all.push(
            row.map(|p| (p.customer.to_owned(), p.day.to_string(), p.amount))
                .map_err(|bad| (bad.line, bad.reason)),
        );
    };
    log.chunks(chunk).for_each(|bytes| reader.push(bytes, &mut tell));
    reader.finish(&mut tell);
    all
}

fn bought(customer: &str, day: &str, amount: i64) -> Result<(String, String, i64), (u64, Reason)> {
    Ok((customer.to_owned(), day.to_owned(), amount))
}

#[test]
fn the_cdnow_sample_has_its_published_rows_customers_and_total() {
    let (mut rows, mut total, mut customers) = (0, 0, std::collections::BTreeSet::new());
    for row in Rows::new(SAMPLE, Format::CdnowSample, day("1998-06-30")) {
        let purchase = row.unwrap().unwrap();
        (rows, total) = (rows + 1, total + purchase.amount);
        customers.insert(purchase.customer);
    }
    assert_eq!((rows, customers.len(), total), (6_919, 2_357, 244_091_940_000));
}

#[test]
fn a_log_reads_the_same_however_its_bytes_are_cut() {
    let whole = told(Format::CdnowSample, SAMPLE, usize::MAX);
    assert_eq!(whole.len(), 6_919);
    for chunk in [1, 7, 4_096] {
        assert!(told(Format::CdnowSample, SAMPLE, chunk) == whole, "chunks of {chunk}");
    }
}

#[test]
fn a_master_log_may_have_a_heading_and_its_bad_lines_are_told_by_number() {
    let log = b" customer_id  date number_of_cds  dollar_value\r\n 00001 19970101  1   11.77\r\n\
        \r\n 00002 19970112  1\n 00002 19970230  1   12.00\n 00002 19970112 x 12.00\n\
        00002 19970112 1 -12.00\n00002 20240701 1 12.00\n\xff 19970112 1 12.00\n\
        00002 19970112 1 12.00 9\n00002 20240630 1 77.00";
    assert_eq!(
        told(Format::CdnowMaster, log, 5),
        [
            bought("00001", "1997-01-01", 11_770_000),
            Err((4, Reason::Columns)),
            Err((5, Reason::Date)),
            Err((6, Reason::Items)),
            Err((7, Reason::Negative)),
            Err((8, Reason::Future)),
            Err((9, Reason::NotText)),
            Err((10, Reason::Columns)),
            bought("00002", "2024-06-30", 77_000_000),
        ]
    );
}

#[test]
fn a_csv_has_its_columns_in_any_order_quoted_or_not() {
    let log = "\u{feff}Amount,note,Customer_ID,Timestamp,currency\r\n\
        9.99,\"a, b\",\"o\"\"hara\",2024-01-05T10:00:00Z,usd\n5,,c2,2024-01-06 , USD\n";
    assert_eq!(
        told(Format::Csv, log.as_bytes(), 3),
        [bought("o\"hara", "2024-01-05", 9_990_000), bought("c2", "2024-01-06", 5_000_000)]
    );
}

#[test]
fn the_bad_rows_of_a_csv_are_told_and_the_others_are_read() {
    let log = "customer_id,date,amount,currency\n\
        c,2024-01-05,1\nc,2024-01-05,1,USD,x\n,2024-01-05,1,USD\nc,2024-13-05,1,USD\n\
        c,2024-01-05,one,USD\nc,2024-01-05,1,US\n\"c,2024-01-05,1,USD\nc,2024-01-05,1,EUR\n\
        c,2024-01-05,1,USD\nc,2024-01-05,1,eur\nc,2025-01-05,1,EUR\nd,2024-01-05,0,EUR\n";
    assert_eq!(
        told(Format::Csv, log.as_bytes(), usize::MAX),
        [
            Err((2, Reason::Columns)),
            Err((3, Reason::Columns)),
            Err((4, Reason::Customer)),
            Err((5, Reason::Date)),
            Err((6, Reason::Amount)),
            Err((7, Reason::Currency)),
            Err((8, Reason::Quote)),
            bought("c", "2024-01-05", 1_000_000),
            Err((10, Reason::CurrencyMix)),
            bought("c", "2024-01-05", 1_000_000),
            Err((12, Reason::Future)),
            bought("d", "2024-01-05", 0),
        ]
    );
}

#[test]
fn a_csv_without_its_heading_is_told_of_once() {
    for heading in ["c,2024-01-05,1", "customer_id,date", "customer_id,date,timestamp,amount"] {
        let log = format!("{heading}\nc,2024-01-05,1\nc,2024-01-05,1\n");
        assert_eq!(told(Format::Csv, log.as_bytes(), 9), [Err((1, Reason::Heading))], "{heading}");
    }
    let long = format!("{}\nc,2024-01-05,1\n", "x".repeat(LINE_BYTES_MAX + 1));
    assert_eq!(told(Format::Csv, long.as_bytes(), 100), [Err((1, Reason::TooLong))]);
}

#[test]
fn an_empty_log_has_no_rows() {
    for log in ["", "\n", "\r\n \n", "customer_id,date,amount\n"] {
        assert_eq!(told(Format::Csv, log.as_bytes(), 1), [], "{log:?}");
        assert_eq!(Rows::new(&b""[..], Format::Csv, day("2024-01-01")).count(), 0);
    }
}

#[test]
fn a_line_without_end_is_not_kept() {
    let mut reader = Reader::new(Format::CdnowMaster, day("2024-06-30"));
    let mut told = Vec::new();
    for _ in 0..10_000 {
        reader.push(&[b'7'; 1_000], |row| told.push(row.is_ok()));
    }
    assert!(reader.held() <= LINE_BYTES_MAX);
    reader.push(b"\n1 19970101 1 2.00\n", |row| told.push(row.is_ok()));
    assert_eq!((told, reader.lines()), (vec![false, true], 2));
}

#[test]
fn a_failure_to_read_ends_the_rows_as_an_error() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("gone"))
        }
    }
    let log = std::io::Read::chain(&b"1 19970101 1 2.00\n"[..], Broken);
    let kinds: Vec<bool> =
        Rows::new(log, Format::CdnowMaster, day("2024-06-30")).map(|row| row.is_ok()).collect();
    assert_eq!(kinds, [true, false]);
}
