//! A wall clock of its own for one process: a small library (`clock.c`) that is loaded before the system's, and a file
//! that says how far off the clock is. What time is measured with (the monotonic clock, by which timers and timeouts
//! run) stays the machine's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::{LabError, LabResult};
use super::programs::program;
use super::tool;

const SOURCE: &str = include_str!("clock.c");
/// A day: what is beyond is no fault of a clock any more.
const OFFSET_MAX_MS: i64 = 86_400_000;
/// Half as fast again, or half as fast.
const DRIFT_MAX_PPM: i64 = 500_000;
/// Writers take turns: a file is small, and so is their number.
static WRITING: Mutex<()> = Mutex::new(());

/// Makes the library, in this folder.
///
/// # Errors
/// There is no C compiler, or it does not take it.
pub async fn library(folder: &Path) -> LabResult<PathBuf> {
    let compiler = program("cc").or_else(|| program("gcc")).ok_or_else(|| {
        LabError::Missing("a C compiler, for clocks of their own: apt-get install gcc".to_owned())
    })?;
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SOURCE).map_err(|error| LabError::file(&source, error))?;
    let mut words = vec![compiler.into_os_string()];
    // It needs nothing of the system's but names, so that no headers have to be installed.
    words
        .extend(["-shared", "-fPIC", "-O2", "-nostdlib", "-fno-builtin", "-o"].map(OsString::from));
    words.extend([library.clone().into_os_string(), source.into_os_string()]);
    tool::run(words).await?;
    Ok(library)
}

/// The clock of a process that is started with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    library: PathBuf,
    file: PathBuf,
}

/// How a clock goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Said {
    turn: i64,
    /// The machine's time at which it was said, in nanoseconds since 1970.
    since: i64,
    /// How far it was off then, in nanoseconds.
    offset: i64,
    /// How much faster it runs, in millionths.
    drift: i64,
}

impl Clock {
    /// A clock that is right, with its file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn new(library: PathBuf, file: PathBuf) -> LabResult<Clock> {
        let failed = |error| LabError::file(&file, error);
        // Made elsewhere and moved: the process maps what is there when it starts.
        let draft = file.with_extension("draft");
        fs::write(&draft, bytes(&Said::default())).map_err(failed)?;
        fs::rename(&draft, &file).map_err(failed)?;
        Ok(Clock { library, file })
    }

    /// What the process has to have in its environment.
    pub fn variables(&self) -> [(&'static str, OsString); 2] {
        [("LD_PRELOAD", self.library.clone().into()), ("CHAOS_LAB_CLOCK", self.file.clone().into())]
    }

    /// From now on the clock is off by so much, and runs at the machine's rate.
    ///
    /// # Errors
    /// It is more than a day, or the file cannot be written.
    pub fn offset(&self, ms: i64) -> LabResult<()> {
        if ms.unsigned_abs() > OFFSET_MAX_MS.unsigned_abs() {
            return Err(LabError::Bad(format!(
                "a clock {ms} ms off: allowed is a day, {OFFSET_MAX_MS} ms"
            )));
        }
        self.say(|_, now| (now, ms * 1_000_000, 0))
    }

    /// From now on the clock runs faster by so many millionths, or slower; it does not jump.
    ///
    /// # Errors
    /// It is more than half, or the file cannot be written.
    pub fn drift(&self, ppm: i64) -> LabResult<()> {
        if ppm.unsigned_abs() > DRIFT_MAX_PPM.unsigned_abs() {
            return Err(LabError::Bad(format!(
                "a clock {ppm} ppm fast: allowed is half, {DRIFT_MAX_PPM} ppm"
            )));
        }
        self.say(|before, now| (now, off(before, now), ppm))
    }

    /// How far off it is now, in milliseconds.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_off_by(&self) -> LabResult<i64> {
        let bytes = fs::read(&self.file).map_err(|error| LabError::file(&self.file, error))?;
        Ok(off(&said(&bytes), now()) / 1_000_000)
    }

    /// Puts what follows from what was said before, while readers see that they have to look again.
    fn say(&self, next: impl FnOnce(&Said, i64) -> (i64, i64, i64)) -> LabResult<()> {
        let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        let failed = |error| LabError::file(&self.file, error);
        let file =
            fs::OpenOptions::new().read(true).write(true).open(&self.file).map_err(failed)?;
        let mut before = [0; 32];
        file.read_exact_at(&mut before, 0).map_err(failed)?;
        let before = said(&before);
        let (since, offset, drift) = next(&before, now());
        // One that died while it wrote has left an odd number.
        let odd = before.turn | 1;
        file.write_all_at(&odd.to_ne_bytes(), 0).map_err(failed)?;
        let after = Said { turn: odd + 1, since, offset, drift };
        file.write_all_at(&bytes(&after)[8..], 8).map_err(failed)?;
        file.write_all_at(&after.turn.to_ne_bytes(), 0).map_err(failed)
    }
}

fn off(said: &Said, now: i64) -> i64 {
    said.offset.saturating_add((now - said.since) / 1000 * said.drift / 1000)
}

/// The machine's wall clock, in nanoseconds.
fn now() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}

fn bytes(said: &Said) -> [u8; 32] {
    let mut out = [0; 32];
    for (place, value) in
        out.chunks_exact_mut(8).zip([said.turn, said.since, said.offset, said.drift])
    {
        place.copy_from_slice(&value.to_ne_bytes());
    }
    out
}

/// What is missing is zero: the clock is right.
fn said(bytes: &[u8]) -> Said {
    let value = |at: usize| {
        let eight = bytes.get(at * 8..at * 8 + 8).and_then(|it| it.try_into().ok());
        i64::from_ne_bytes(eight.unwrap_or_default())
    };
    Said { turn: value(0), since: value(1), offset: value(2), drift: value(3) }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn seconds(clock: &Clock) -> i64 {
        let output = Command::new("date").arg("+%s").envs(clock.variables()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    #[tokio::test]
    async fn a_process_sees_its_own_clock_and_it_moves_as_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let library = match library(folder.path()).await {
            Ok(library) => library,
            Err(LabError::Missing(what)) => return eprintln!("skipped: {what}"),
            Err(error) => panic!("{error}"),
        };
        let clock = Clock::new(library, folder.path().join("clock")).unwrap();
        let right = now() / 1_000_000_000;
        assert!((0..=5).contains(&(seconds(&clock) - right)));
        clock.offset(-3_600_000).unwrap();
        assert!((0..=5).contains(&(seconds(&clock) - right + 3600)));
        clock.drift(0).unwrap();
        assert_eq!(clock.is_off_by().unwrap(), -3_600_000, "what drifts does not jump");
        clock.offset(0).unwrap();
        assert!((0..=10).contains(&(seconds(&clock) - right)));
    }

    #[test]
    fn a_drift_grows_from_where_the_clock_was() {
        let start = Said { turn: 2, since: 1_000_000_000, offset: 5_000_000, drift: 100_000 };
        assert_eq!(off(&start, 1_000_000_000), 5_000_000);
        assert_eq!(off(&start, 11_000_000_000), 1_005_000_000, "ten percent of 10 s");
        assert_eq!(said(&bytes(&start)), start);
        assert_eq!(said(&[1, 2, 3]), Said::default());
    }

    #[test]
    fn what_is_no_fault_of_a_clock_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::new("/lib/f.so".into(), folder.path().join("clock")).unwrap();
        assert!(clock.offset(86_400_001).is_err() && clock.offset(i64::MIN).is_err());
        assert!(clock.drift(500_001).is_err());
        assert_eq!(clock.is_off_by().unwrap(), 0);
    }
}
