//! The switch between network namespaces: packets of each host's TUN interface come here, meet the rule of their
//! pair, and go out at the interface of whom they are for.
//!
//! It runs on a thread of its own, so that a load on the suite does not look like a slow network.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::oneshot;
use tun_rs::{AsyncDevice, SyncDevice};

use super::later::Later;
use super::packet::{destination, resets};
use super::path::{Fate, Path};
use super::rule::{Counts, Rule};
use super::{NotPossible, Pair};
use crate::lab::error::{LabError, LabResult};
use crate::lab::host::HostName;
use crate::lab::subnet::Subnet;

/// Larger than any MTU.
const PACKET_MAX: usize = 65_536;
/// Packets that are read of one interface before the others have their turn.
const AT_ONCE: usize = 64;

type Devices = BTreeMap<HostName, Arc<AsyncDevice>>;

/// The relay, until it is dropped.
pub struct Relay {
    switch: Arc<Switch>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Switch {
    subnet: Subnet,
    hosts: Vec<HostName>,
    seed: u64,
    began: Instant,
    paths: Mutex<BTreeMap<Pair, Path>>,
    trouble: Mutex<Vec<String>>,
}

struct Held {
    device: Arc<AsyncDevice>,
    packet: Box<[u8]>,
    copies: u8,
}

impl Relay {
    /// Begins to pass packets on between these interfaces.
    ///
    /// # Errors
    /// There is no thread or no runtime to be had, or an interface cannot be listened to.
    pub async fn start(
        seed: u64,
        subnet: Subnet,
        devices: Vec<(HostName, SyncDevice)>,
    ) -> LabResult<Relay> {
        let switch = Arc::new(Switch {
            subnet,
            hosts: devices.iter().map(|(host, _)| *host).collect(),
            seed,
            began: Instant::now(),
            paths: Mutex::new(BTreeMap::new()),
            trouble: Mutex::new(Vec::new()),
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = oneshot::channel();
        let of_thread = switch.clone();
        let run = move || match listening(devices) {
            Ok((runtime, devices)) => {
                // Where nobody waits any more, `stopped` tells so, too.
                let _ = ready.send(Ok(()));
                runtime.block_on(of_thread.run(devices, stopped));
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let failed = |error| LabError::io("the relay between hosts", error);
        let thread =
            std::thread::Builder::new().name("relay".to_owned()).spawn(run).map_err(failed)?;
        let begun = is_ready.await.unwrap_or_else(|_| Err(io::Error::other("its thread ended")));
        begun.map_err(failed)?;
        Ok(Relay { switch, stop: Some(stop), thread: Some(thread) })
    }

    pub fn address(&self, host: HostName) -> Ipv4Addr {
        self.switch.subnet.address(host)
    }

    /// # Errors
    /// There is no such host.
    pub fn set(&self, from: HostName, to: HostName, rule: Rule) -> Result<(), NotPossible> {
        for host in [from, to] {
            if !self.switch.hosts.contains(&host) {
                return Err(NotPossible::Host(host));
            }
        }
        self.switch.path(&mut self.switch.paths(), (from, to), |path| path.set(rule));
        Ok(())
    }

    pub fn clear_all(&self) {
        let mut paths = self.switch.paths();
        for path in paths.values_mut().filter(|path| *path.rule() != Rule::default()) {
            path.set(Rule::default());
        }
    }

    pub fn hosts(&self) -> &[HostName] {
        &self.switch.hosts
    }

    pub fn counts(&self) -> BTreeMap<Pair, Counts> {
        self.switch.paths().iter().map(|(pair, path)| (*pair, path.counts)).collect()
    }

    pub fn trouble(&self) -> Vec<String> {
        self.switch.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Its thread may have ended by itself.
        self.stop.take().map(|stop| stop.send(()));
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was told where it happened.
            let _ = thread.join();
        }
    }
}

fn listening(
    devices: Vec<(HostName, SyncDevice)>,
) -> io::Result<(tokio::runtime::Runtime, Devices)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let inside = runtime.enter();
    let devices = devices
        .into_iter()
        .map(|(host, device)| Ok((host, Arc::new(AsyncDevice::new(device)?))))
        .collect::<io::Result<Devices>>()?;
    drop(inside);
    Ok((runtime, devices))
}

impl Switch {
    fn paths(&self) -> MutexGuard<'_, BTreeMap<Pair, Path>> {
        // Nothing is left half done under this lock.
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path<T>(
        &self,
        paths: &mut BTreeMap<Pair, Path>,
        pair: Pair,
        act: impl FnOnce(&mut Path) -> T,
    ) -> T {
        act(paths.entry(pair).or_insert_with(|| Path::new(self.seed, pair.0, pair.1)))
    }

    async fn run(self: Arc<Self>, devices: Devices, stopped: oneshot::Receiver<()>) {
        let of_later = self.clone();
        let later = Later::start(self.began, move |held: Held| {
            for _ in 0..held.copies {
                of_later.send(&held.device, &held.packet);
            }
        });
        let later = match later {
            Ok(later) => later,
            Err(error) => return self.troubled(format!("the relay has no second thread: {error}")),
        };
        let readers =
            devices.iter().map(|(host, device)| self.read(*host, device, &devices, &later));
        let all = futures_util::future::join_all(readers);
        tokio::select! {
            _ = all => {}
            // Told, or nobody is left to tell.
            _ = stopped => {}
        }
    }

    /// Reads packets of one host until its interface is gone.
    async fn read(&self, host: HostName, device: &AsyncDevice, to: &Devices, later: &Later<Held>) {
        let mut buffer = vec![0; PACKET_MAX];
        loop {
            let mut length = match device.recv(&mut buffer).await {
                Ok(length) => length,
                Err(error) => {
                    return self
                        .troubled(format!("the interface of {host} gives no packets: {error}"));
                }
            };
            for _ in 0..AT_ONCE {
                self.pass(host, &buffer[..length], to, later);
                // An error comes again at the next wait.
                match device.try_recv(&mut buffer) {
                    Ok(more) => length = more,
                    Err(_) => break,
                }
            }
            tokio::task::yield_now().await;
        }
    }

    fn pass(&self, from: HostName, packet: &[u8], devices: &Devices, later: &Later<Held>) {
        // What is for nobody here (multicast of IPv6, say) goes nowhere.
        let Some(to) = destination(packet).and_then(|address| self.subnet.host(address)) else {
            return;
        };
        let Some(device) = devices.get(&to) else { return };
        let now = self.began.elapsed();
        let fate = self.path(&mut self.paths(), (from, to), |path| path.fate(now, packet.len()));
        match fate {
            Fate::Lost => {}
            Fate::Pass { due: None, copies } => {
                for _ in 0..copies {
                    self.send(device, packet);
                }
            }
            Fate::Pass { due: Some(due), copies } => {
                later.at(due, Held { device: device.clone(), packet: packet.into(), copies });
            }
            Fate::Reset => {
                let Some([back, on]) = resets(packet) else { return };
                if let Some(sender) = devices.get(&from) {
                    self.send(sender, &back);
                }
                self.send(device, &on);
            }
        }
    }

    fn send(&self, device: &AsyncDevice, packet: &[u8]) {
        match device.try_send(packet) {
            Ok(_) => {}
            // What a host does not take is lost, as on any network; TCP sends it again.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => self.troubled(format!("an interface takes no packets: {error}")),
        }
    }

    fn troubled(&self, what: String) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        // The same again and again says nothing more.
        if trouble.len() < 32 && !trouble.contains(&what) {
            tracing::error!("{what}");
            trouble.push(what);
        }
    }
}

#[cfg(test)]
mod tests;
