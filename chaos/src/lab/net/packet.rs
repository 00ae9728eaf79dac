//! IPv4 packets: where they go, and how TCP is told that a connection is over.

use std::net::Ipv4Addr;

const IP: usize = 20;
const TCP: usize = 20;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

/// Where a packet goes; `None` for what is no IPv4.
pub fn destination(packet: &[u8]) -> Option<Ipv4Addr> {
    if packet.len() < IP || packet[0] >> 4 != 4 {
        return None;
    }
    Some(address(packet, 16))
}

/// The two packets that end the connection which this one belongs to: first for who sent it, then for whom it is
/// for. `None` where it is no TCP, a later piece of a packet, or a reset itself.
///
/// Linux takes a reset only with exactly the number that it expects next, which is what this packet says of both
/// ends: the sender expects what it acknowledges, the receiver what the packet begins with.
pub fn resets(packet: &[u8]) -> Option<[Vec<u8>; 2]> {
    destination(packet)?;
    let head = usize::from(packet[0] & 0x0f) * 4;
    let piece = u16::from_be_bytes([packet[6], packet[7]]) & 0x1fff;
    if head < IP || packet[9] != 6 || piece != 0 {
        return None;
    }
    let tcp = packet.get(head..).filter(|tcp| tcp.len() >= TCP)?;
    let flags = tcp[13];
    if flags & RST != 0 {
        return None;
    }
    let (from, to) = (address(packet, 12), address(packet, 16));
    let (source, target) = ([tcp[0], tcp[1]], [tcp[2], tcp[3]]);
    let (number, acknowledged) = (word(tcp, 4), word(tcp, 8));
    let back = match flags & ACK {
        // Whoever has heard nothing yet takes a reset only for what it sent.
        0 => {
            let total = usize::from(u16::from_be_bytes([packet[2], packet[3]])).min(packet.len());
            let data = total.saturating_sub(head + usize::from(tcp[12] >> 4) * 4) as u32;
            let marks = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
            let end = number.wrapping_add(data).wrapping_add(marks);
            reset([to, from], [target, source], 0, end, RST | ACK)
        }
        _ => reset([to, from], [target, source], acknowledged, 0, RST),
    };
    Some([back, reset([from, to], [source, target], number, 0, RST)])
}

fn reset(ends: [Ipv4Addr; 2], ports: [[u8; 2]; 2], number: u32, acks: u32, flags: u8) -> Vec<u8> {
    let mut packet = vec![0; IP + TCP];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&((IP + TCP) as u16).to_be_bytes());
    packet[8] = 64;
    packet[9] = 6;
    packet[12..16].copy_from_slice(&ends[0].octets());
    packet[16..20].copy_from_slice(&ends[1].octets());
    let sum = checksum(&[&packet[..IP]]);
    packet[10..12].copy_from_slice(&sum);
    let tcp = &mut packet[IP..];
    tcp[0..2].copy_from_slice(&ports[0]);
    tcp[2..4].copy_from_slice(&ports[1]);
    tcp[4..8].copy_from_slice(&number.to_be_bytes());
    tcp[8..12].copy_from_slice(&acks.to_be_bytes());
    tcp[12] = 5 << 4;
    tcp[13] = flags;
    let pseudo = [0, 6, 0, TCP as u8];
    let sum = checksum(&[&packet[12..20], &pseudo, &packet[IP..]]);
    packet[IP + 16..IP + 18].copy_from_slice(&sum);
    packet
}

/// The checksum of the Internet (RFC 1071) over parts of even length.
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let mut sum: u32 = words.map(|two| u32::from(u16::from_be_bytes([two[0], two[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!(sum as u16)).to_be_bytes()
}

fn address(packet: &[u8], at: usize) -> Ipv4Addr {
    Ipv4Addr::from(word(packet, at))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 11);
    const B: Ipv4Addr = Ipv4Addr::new(198, 18, 7, 12);

    fn tcp(flags: u8, data: usize) -> Vec<u8> {
        let mut packet = reset([A, B], [[0x1f, 0x91], [0x00, 0x50]], 1000, 2000, flags);
        packet.resize(IP + TCP + data, 7);
        let total = packet.len() as u16;
        packet[2..4].copy_from_slice(&total.to_be_bytes());
        packet
    }

    fn says(packet: &[u8]) -> (Ipv4Addr, Ipv4Addr, [u8; 4], u32, u32, u8) {
        let ports = [packet[20], packet[21], packet[22], packet[23]];
        let numbers = (word(packet, 24), word(packet, 28));
        (address(packet, 12), address(packet, 16), ports, numbers.0, numbers.1, packet[33])
    }

    #[test]
    fn both_ends_of_a_connection_are_told_the_number_that_they_expect() {
        let [back, on] = resets(&tcp(ACK, 300)).unwrap();
        assert_eq!(says(&back), (B, A, [0, 0x50, 0x1f, 0x91], 2000, 0, RST));
        assert_eq!(says(&on), (A, B, [0x1f, 0x91, 0, 0x50], 1000, 0, RST));
        for packet in [back, on] {
            // A sum over what has its own sum in it is zero.
            assert_eq!(checksum(&[&packet[..IP]]), [0, 0]);
            assert_eq!(checksum(&[&packet[12..20], &[0, 6, 0, 20], &packet[IP..]]), [0, 0]);
        }
    }

    #[test]
    fn a_connection_that_begins_is_refused_as_by_a_closed_port() {
        let [back, _] = resets(&tcp(SYN, 0)).unwrap();
        assert_eq!(says(&back), (B, A, [0, 0x50, 0x1f, 0x91], 0, 1001, RST | ACK));
    }

    #[test]
    fn what_is_no_connection_is_not_answered() {
        assert_eq!(resets(&tcp(RST, 0)), None, "two resets would answer each other for ever");
        let mut udp = tcp(ACK, 0);
        udp[9] = 17;
        assert_eq!(resets(&udp), None);
        let mut piece = tcp(ACK, 0);
        piece[7] = 9;
        assert_eq!(resets(&piece), None);
        let mut six = tcp(ACK, 0);
        six[0] = 0x60;
        assert_eq!((resets(&six), destination(&six)), (None, None));
        let whole = tcp(ACK, 0);
        for end in 0..whole.len() {
            assert_eq!(resets(&whole[..end]), None, "cut at {end}");
        }
        assert_eq!(destination(&whole), Some(B));
    }
}
