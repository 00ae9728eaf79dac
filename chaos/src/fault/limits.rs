//! Limits of processes that run: descriptors, and memory.

use std::fs;

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde::{Deserialize, Serialize};

use super::error::{FaultError, FaultResult};
use super::family::{At, Doing, Family, Order, Prepared};
use super::left::Left;
use super::memory::Group;
use super::{process, system};
use crate::experiment::fault::Fault;
use crate::lab::ProcessId;

/// What is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    Descriptors,
    /// Memory that a process may address, which is more than it has.
    AddressSpace,
}

/// A limit as a process had it; `None` is without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    pub id: ProcessId,
    pub of: Of,
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

impl Limit {
    /// As it is now.
    fn now(id: ProcessId, of: Of) -> FaultResult<Limit> {
        let file = format!("/proc/{}/limits", id.pid);
        let text = fs::read_to_string(&file).map_err(|error| FaultError::io(file, error))?;
        let (soft, hard) = read(&text, of).ok_or_else(|| {
            FaultError::Bad(format!("the limits of process {} are not told", id.pid))
        })?;
        Ok(Limit { id, of, soft, hard })
    }

    /// The process has this limit, and is seen to. One that is over has none.
    fn set(&self) -> FaultResult<()> {
        if !self.id.is_alive() {
            return Ok(());
        }
        let failed = |error| FaultError::io(format!("a limit of process {}", self.id.pid), error);
        let pid = i32::try_from(self.id.pid).ok().and_then(Pid::from_raw);
        let resource = match self.of {
            Of::Descriptors => Resource::Nofile,
            Of::AddressSpace => Resource::As,
        };
        let limit = Rlimit { current: self.soft, maximum: self.hard };
        match prlimit(pid, resource, limit) {
            Ok(_) => {}
            Err(_) if !self.id.is_alive() => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
        match Limit::now(self.id, self.of) {
            Ok(now) if now != *self => {
                Err(FaultError::Bad(format!("process {} keeps its limit", self.id.pid)))
            }
            // It ended meanwhile.
            Err(_) if !self.id.is_alive() => Ok(()),
            seen => seen.map(drop),
        }
    }

    /// As it was before.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn back(&self) -> FaultResult<()> {
        self.set()
    }
}

/// "Max open files   1024   1048576   files"
fn read(limits: &str, of: Of) -> Option<(Option<u64>, Option<u64>)> {
    let name = match of {
        Of::Descriptors => "Max open files",
        Of::AddressSpace => "Max address space",
    };
    let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
    let mut words = line.split_whitespace();
    let mut one = || match words.next()? {
        "unlimited" => Some(None),
        number => number.parse().ok().map(Some),
    };
    Some((one()?, one()?))
}

pub struct Limits;

impl Family for Limits {
    fn kinds(&self) -> &'static [&'static str] {
        &["memory_limit", "descriptor_limit"]
    }

    fn prepare<'a>(&'a self, order: &'a Order) -> Doing<'a, Prepared> {
        Box::pin(async move {
            let names = process::names(order)?;
            let ids = process::ids(order, &names)?;
            let (mut left, mut way) = (Vec::new(), "prlimit");
            for (name, id) in names.iter().zip(ids) {
                if matches!(order.fault, Fault::DescriptorLimit { .. }) {
                    left.push(Left::Limit(Limit::now(id, Of::Descriptors)?));
                    continue;
                }
                // What goes beyond its memory ends, and is started at the end.
                left.push(Left::Dead { name: name.clone() });
                match Group::find(&order.ground.folder, order.number, id)? {
                    Some(group) => {
                        way = "control group";
                        left.push(Left::Group(group));
                    }
                    None => left.push(Left::Limit(Limit::now(id, Of::AddressSpace)?)),
                }
            }
            Ok(Prepared { target: names.join(", "), way: way.into(), struck: names, left })
        })
    }

    fn act<'a>(&'a self, at: &'a At) -> Doing<'a, ()> {
        Box::pin(async move {
            let order = &at.site.order;
            if let Fault::MemoryLimit { limit, .. } = &order.fault {
                return memory(at, limit.bytes());
            }
            let Fault::DescriptorLimit { limit, .. } = &order.fault else { return Ok(()) };
            for left in &at.site.record().left {
                if let Left::Limit(before) = left {
                    let most = u64::from(*limit);
                    let most = before.hard.map_or(most, |hard| hard.min(most));
                    Limit { soft: Some(most), ..before.clone() }.set()?;
                    at.site.struck(1);
                }
            }
            Ok(())
        })
    }
}

fn memory(at: &At, bytes: u64) -> FaultResult<()> {
    let lab = at.ground().lab("memory_limit")?;
    for name in &at.site.injected.struck {
        lab.processes().expect_end(name)?;
    }
    for left in &at.site.record().left {
        let id = match left {
            Left::Group(group) => group.id,
            Left::Limit(limit) => limit.id,
            _ => continue,
        };
        // A process brings nothing of what it has into a group. What it has counts just the same: it has gone beyond
        // the limit, or there is so much less left for it.
        let has = system::memory(id).unwrap_or_default();
        if has > bytes {
            process::signal(&[id], Signal::KILL)?;
        } else {
            match left {
                Left::Group(group) => group.bound(bytes - has)?,
                Left::Limit(before) => Limit { soft: Some(bytes), ..before.clone() }.set()?,
                _ => {}
            }
        }
        at.site.struck(1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn limits_are_read_as_the_system_writes_them() {
        let text = "Limit   Soft Limit  Hard Limit  Units\nMax open files            1024                 unlimited            files\n";
        assert_eq!(read(text, Of::Descriptors), Some((Some(1024), None)));
        assert_eq!(read(text, Of::AddressSpace), None);
        assert_eq!(read("Max open files  x y files\n", Of::Descriptors), None);
    }

    #[test]
    fn a_limit_is_set_and_is_as_before_afterwards() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcessId::of(child.id()).unwrap();
        let before = Limit::now(id, Of::Descriptors).unwrap();
        Limit { soft: Some(17), ..before.clone() }.set().unwrap();
        assert_eq!(Limit::now(id, Of::Descriptors).unwrap().soft, Some(17));
        // Somebody else with the same number is not touched.
        let other = ProcessId { start: id.start + 1, ..id };
        Limit { id: other, soft: Some(16), ..before.clone() }.set().unwrap();
        assert_eq!(Limit::now(id, Of::Descriptors).unwrap().soft, Some(17));
        before.back().unwrap();
        assert_eq!(Limit::now(id, Of::Descriptors).unwrap(), before);
        child.kill().unwrap();
        child.wait().unwrap();
        before.back().unwrap();
    }
}
