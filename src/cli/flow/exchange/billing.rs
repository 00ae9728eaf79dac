//! The bill, as it is written.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::Path;

use super::super::super::exit::CliError;
use super::super::super::files;
use super::super::report::{Began, Ended, Record, Sold};

/// Writes each sold impression once, when its notices have come to their end.
pub struct Billing {
    out: Option<BufWriter<File>>,
    ended: Ended,
    failed: Option<std::io::Error>,
}

impl Billing {
    /// Begins a bill; without a path, it is only summed up.
    ///
    /// # Errors
    /// There is such a file, which may be the only bill of another run, or it cannot be written.
    pub fn begin(path: Option<&Path>, began: Began) -> Result<Billing, CliError> {
        let named = |path: &Path, error: std::io::Error| match error.kind() {
            ErrorKind::AlreadyExists => files::named(path, "exists; choose another name"),
            _ => files::named(path, error),
        };
        let out = match path {
            None => None,
            Some(path) => {
                Some(BufWriter::new(File::create_new(path).map_err(|error| named(path, error))?))
            }
        };
        let mut billing = Billing { out, ended: Ended::default(), failed: None };
        billing.write(&Record::Began(began));
        match (billing.flush(), path) {
            (Err(error), Some(path)) => Err(named(path, error)),
            _ => Ok(billing),
        }
    }

    pub fn sold(&mut self, sold: Sold) {
        self.ended.count(&sold);
        self.write(&Record::Sold(Box::new(sold)));
    }

    /// Everything so far is with the system.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn flush(&mut self) -> Result<(), std::io::Error> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        self.out.as_mut().map_or(Ok(()), Write::flush)
    }

    /// Writes the sums, to the disk.
    ///
    /// # Errors
    /// Something could not be written, now or before.
    pub fn end(&mut self, at_us: i64) -> Result<(), std::io::Error> {
        self.ended.at_us = at_us;
        self.write(&Record::Ended(self.ended.clone()));
        self.flush()?;
        self.out.as_ref().map_or(Ok(()), |out| out.get_ref().sync_all())
    }

    fn write(&mut self, record: &Record) {
        let Some(out) = &mut self.out else { return };
        let written = serde_json::to_writer(&mut *out, record).map_err(std::io::Error::from);
        if let Err(error) = written.and_then(|()| out.write_all(b"\n")) {
            self.failed.get_or_insert(error);
        }
    }
}
