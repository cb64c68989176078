//! /proc/net/tcp and tcp6 (proc(5)), where every socket of the network namespace is a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{canonical, malformed};

/// `TCP_ESTABLISHED`.
const ESTABLISHED: &str = "01";
/// Those of diag.rs in which something may still be on its way out.
const CLOSING: [&str; 4] = ["04", "08", "09", "0B"];

/// What a line says of a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listed {
    /// The other side; IPv4 as such, also on a socket of both families.
    pub peer: SocketAddr,
    /// Neither side has closed it.
    pub is_established: bool,
    /// The number of its socket; 0 as long as nobody has accepted it.
    pub inode: u32,
    /// Bytes that were written and have not arrived yet; its own end counts as one.
    pub undelivered: u32,
    /// What came last was answered so soon that the answer carried its acknowledgement; otherwise that went out alone
    /// (the kernel's `inet_csk_in_pingpong_mode`, the lowest bit of the 15th field).
    pub is_interactive: bool,
}

/// The connections of a local port. It fails where the lists cannot be read.
pub fn listed(port: u16) -> io::Result<Vec<Listed>> {
    let mut found = Vec::new();
    let mut read = |path| -> io::Result<()> {
        // The thread's own network namespace; and one line at a time, because there can be many.
        let mut lines = BufReader::new(File::open(path)?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            found.extend(listed_in(&line, port));
            line.clear();
        }
        Ok(())
    };
    read("/proc/thread-self/net/tcp")?;
    match read("/proc/thread-self/net/tcp6") {
        // A kernel without IPv6.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        read => read?,
    }
    Ok(found)
}

/// What a line says, if it is of a connection of the port.
pub(super) fn listed_in(line: &str, port: u16) -> Option<Listed> {
    let mut fields = line.split_ascii_whitespace();
    let local = fields.nth(1)?;
    let peer = fields.next()?;
    let state = fields.next()?;
    let is_established = state == ESTABLISHED;
    let (_, local_port) = local.split_once(':')?;
    if !is_established && !CLOSING.contains(&state)
        || u16::from_str_radix(local_port, 16) != Ok(port)
    {
        return None;
    }
    Some(Listed {
        peer: address(peer).ok()?,
        is_established,
        undelivered: u32::from_str_radix(fields.next()?.split_once(':')?.0, 16).ok()?,
        inode: fields.nth(4)?.parse().ok()?,
        is_interactive: fields.nth(4)?.parse::<u32>().ok()? & 1 == 1,
    })
}

/// `0100007F:1F90`: the address in words of the machine's own order.
fn address(text: &str) -> io::Result<SocketAddr> {
    let (words, port) = text.split_once(':').ok_or_else(malformed)?;
    let hex = |text: &str| u32::from_str_radix(text, 16).map_err(|_| malformed());
    let mut bytes = Vec::with_capacity(16);
    for word in words.as_bytes().chunks(8) {
        let word = std::str::from_utf8(word).map_err(|_| malformed())?;
        bytes.extend(hex(word)?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(&*bytes) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).map_err(|_| malformed())?)),
    };
    let port = u16::from_str_radix(port, 16).map_err(|_| malformed())?;
    Ok(canonical(SocketAddr::new(ip, port)))
}
