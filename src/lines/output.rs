//! Where events are written: a buffer that never grows, in front of what takes the bytes.

use std::io::{self, Write};

/// Passes on what is written whenever the buffer is full, and when it is flushed.
pub struct Output<'a> {
    buffer: &'a mut Vec<u8>,
    to: &'a mut dyn Write,
}

impl<'a> Output<'a> {
    /// Uses as much of the buffer as is allocated already.
    pub fn new(buffer: &'a mut Vec<u8>, to: &'a mut dyn Write) -> Self {
        Self { buffer, to }
    }

    /// Writes all these bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.buffer.capacity() - self.buffer.len() {
            return self.put_more(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what there is no room for.
    #[cold]
    fn put_more(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.pass_on()?;
        if bytes.len() >= self.buffer.capacity() {
            return self.to.write_all(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let passed = self.to.write_all(self.buffer);
        self.buffer.clear();
        passed
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.put(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()?;
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn all_that_is_written_arrives_in_its_order(
            parts: Vec<Vec<u8>>,
            capacity in 0_usize..64,
        ) {
            let (mut buffer, mut to) = (Vec::with_capacity(capacity), Vec::new());
            let mut output = Output::new(&mut buffer, &mut to);
            for part in &parts {
                output.put(part).unwrap();
            }
            output.flush().unwrap();
            prop_assert_eq!(buffer.capacity(), capacity);
            prop_assert_eq!(to, parts.concat());
        }
    }
}
