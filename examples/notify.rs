//! Sends each argument as a message to `$NOTIFY_SOCKET`, as sd_notify(3) does, and ends at once, which is what makes
//! such senders hard to know. `\n` in an argument is a line break; `100x...` sends the rest so often.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

fn main() -> io::Result<()> {
    let name = env::var("NOTIFY_SOCKET").map_err(io::Error::other)?;
    let address = match name.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    for argument in env::args().skip(1) {
        let (times, text) = times(&argument);
        let message = text.replace("\\n", "\n");
        for _ in 0..times {
            socket.send_to_addr(message.as_bytes(), &address)?;
        }
    }
    Ok(())
}

/// How often an argument is to be sent, and what of it.
fn times(argument: &str) -> (u64, &str) {
    let repeated =
        argument.split_once('x').and_then(|(times, text)| Some((times.parse().ok()?, text)));
    repeated.unwrap_or((1, argument))
}
