//! Bytes as the inside of a JSON string, written while they are escaped, so that nothing grows in memory.

use std::io;

use crate::output::Output;
use crate::plain;

/// Writes bytes, and says whether they are not all UTF-8 and so written as [`write_bytes`] does.
pub fn write_any(bytes: &[u8], to: &mut Output<'_>) -> io::Result<bool> {
    match str::from_utf8(bytes) {
        Ok(text) => write_text(text, to).map(|()| false),
        Err(_) => write_bytes(bytes, to).map(|()| true),
    }
}

/// Writes text. What JSON must escape is escaped, and DEL, which terminals take for an order.
pub fn write_text(text: &str, to: &mut Output<'_>) -> io::Result<()> {
    write(text.as_bytes(), b"\\\\", to)
}

/// Writes bytes that are not all UTF-8: each byte that is none becomes the text `\xhh`, and each backslash that stood
/// there is doubled, so that the bytes can be had back.
pub fn write_bytes(bytes: &[u8], to: &mut Output<'_>) -> io::Result<()> {
    for chunk in bytes.utf8_chunks() {
        write(chunk.valid().as_bytes(), b"\\\\\\\\", to)?;
        for byte in chunk.invalid() {
            let [high, low] = hexadecimal(*byte);
            to.put(&[b'\\', b'\\', b'x', high, low])?;
        }
    }
    Ok(())
}

/// Writes bytes of UTF-8 with `backslash` in the place of each backslash.
fn write(mut bytes: &[u8], backslash: &[u8], to: &mut Output<'_>) -> io::Result<()> {
    while let Some((run, rest)) = bytes.split_at_checked(plain::run::<true>(bytes)) {
        to.put(run)?;
        let Some((special, rest)) = rest.split_first() else { break };
        match special {
            b'\\' => to.put(backslash)?,
            b'"' => to.put(b"\\\"")?,
            b'\n' => to.put(b"\\n")?,
            b'\r' => to.put(b"\\r")?,
            b'\t' => to.put(b"\\t")?,
            other => {
                let [high, low] = hexadecimal(*other);
                to.put(&[b'\\', b'u', b'0', b'0', high, low])?;
            }
        }
        bytes = rest;
    }
    Ok(())
}

fn hexadecimal(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })
}
