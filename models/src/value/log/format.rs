//! The formats of purchase logs.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How a log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Customer id, `YYYYMMDD`, number of items, amount; between blanks. A heading may come first.
    CdnowMaster,
    /// Customer id in the master, in the sample, `YYYYMMDD`, number of items, amount; between blanks.
    CdnowSample,
    /// RFC 4180 with a heading: `customer_id`, `date` or `timestamp`, `amount` and perhaps
    /// `currency`, in any order among other columns. A quoted field ends on its line.
    Csv,
}

/// A name that is no format's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is none of cdnow-master, cdnow-sample and csv")]
pub struct UnknownFormat;

impl Format {
    pub fn name(self) -> &'static str {
        match self {
            Format::CdnowMaster => "cdnow-master",
            Format::CdnowSample => "cdnow-sample",
            Format::Csv => "csv",
        }
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Format, UnknownFormat> {
        let all = [Format::CdnowMaster, Format::CdnowSample, Format::Csv];
        all.into_iter().find(|format| format.name() == name).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_name_in_text_and_in_json() {
        for format in [Format::CdnowMaster, Format::CdnowSample, Format::Csv] {
            assert_eq!(format.name().parse(), Ok(format));
            assert_eq!(serde_json::to_string(&format).unwrap(), format!("\"{}\"", format.name()));
        }
        assert_eq!("CSV".parse::<Format>(), Err(UnknownFormat));
    }
}
