//! Which process of this machine is at the other end of a connection on loopback.

use std::fs;
use std::net::SocketAddrV4;

/// Whether this process holds the socket with this local address.
///
/// On loopback all hosts have one address, and nodes tell each other only where they are: which node it is that calls
/// is known by its process alone.
pub fn holds(pid: u32, socket: u64) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    let name = format!("socket:[{socket}]");
    files
        .flatten()
        .any(|file| fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy() == name))
}

/// The number of the socket with this local address and this peer.
pub fn socket_of(local: SocketAddrV4, peer: SocketAddrV4) -> Option<u64> {
    find(&fs::read_to_string("/proc/net/tcp").ok()?, local, peer)
}

/// Looks in a table as the system prints it: addresses in hexadecimal, as they are in memory.
fn find(table: &str, local: SocketAddrV4, peer: SocketAddrV4) -> Option<u64> {
    let (local, peer) = (printed(local), printed(peer));
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let is_it = fields.next()? == local && fields.next()? == peer;
        is_it.then(|| fields.nth(6)?.parse().ok()).flatten()
    })
}

fn printed(address: SocketAddrV4) -> String {
    let memory = u32::from_ne_bytes(address.ip().octets());
    format!("{memory:08X}:{:04X}", address.port())
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

    use super::*;

    fn v4(address: SocketAddr) -> SocketAddrV4 {
        match address {
            SocketAddr::V4(address) => address,
            SocketAddr::V6(_) => unreachable!(),
        }
    }

    #[test]
    fn a_socket_is_found_by_both_of_its_ends_and_its_process_by_the_socket() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (local, peer) = (v4(here.local_addr().unwrap()), v4(here.peer_addr().unwrap()));
        let socket = socket_of(local, peer).unwrap();
        assert!(holds(std::process::id(), socket));
        assert!(!holds(1, socket) && !holds(std::process::id(), socket + 1_000_000));
        assert_ne!(socket_of(peer, local), Some(socket), "the other end has a socket of its own");
        assert_eq!(socket_of(peer, SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1)), None);
    }

    #[test]
    fn a_table_that_is_cut_short_has_nothing() {
        let at = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 80);
        assert_eq!(find("head\n 0: 0100007F:0050 0100007F:0050 01\n0:\n\n", at, at), None);
    }
}
