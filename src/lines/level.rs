//! The level of a line, where the line says it in one of the usual ways. It is never guessed from the
//! middle of a sentence: what counts is where the word stands and what stands around it.

mod forms;
mod prefix;
#[cfg(test)]
mod tests;

/// How much of a line is looked at, in bytes. Every usual form says its level before that.
const WINDOW: usize = 128;

const ESCAPE: u8 = 0x1b;

/// How much an event matters.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Level {
    /// Steps inside a function.
    Trace,
    /// For who develops the program.
    Debug,
    /// What happens when all is well.
    Info,
    /// Not as it should be, and yet it works.
    Warn,
    /// Something failed.
    Error,
    /// The program cannot go on, or somebody has to act at once.
    Fatal,
}

/// What a word means as a level, in any case and in the spellings of the loggers that are known here.
pub fn of_word(word: &[u8]) -> Option<Level> {
    let mut lower = [0; 16];
    let lower = lower.get_mut(..word.len())?;
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    Some(match &*lower {
        b"t" | b"trace" | b"trc" | b"trac" | b"trce" | b"finest" | b"finer" | b"silly" => {
            Level::Trace
        }
        b"d" | b"debug" | b"dbg" | b"debu" | b"dbug" | b"fine" | b"config" | b"verbose"
        | b"http" => Level::Debug,
        b"debug1" | b"debug2" | b"debug3" | b"debug4" | b"debug5" => Level::Debug,
        b"i" | b"info" | b"inf" | b"information" | b"informational" => Level::Info,
        b"notice" | b"note" | b"log" | b"success" => Level::Info,
        b"w" | b"warn" | b"warning" | b"wrn" => Level::Warn,
        b"e" | b"error" | b"err" | b"erro" | b"eror" | b"severe" | b"fail" => Level::Error,
        b"f" | b"fatal" | b"ftl" | b"fata" | b"critical" | b"crit" | b"c" => Level::Fatal,
        b"alert" | b"emerg" | b"emergency" | b"panic" | b"pnc" | b"pani" | b"dpanic" => {
            Level::Fatal
        }
        _ => return None,
    })
}

/// What a number means as a level of pino and bunyan: 10 is trace, 60 is fatal, and a level of the program's own
/// counts as the one below it.
pub fn of_number(number: u64) -> Option<Level> {
    Some(match number {
        10..20 => Level::Trace,
        20..30 => Level::Debug,
        30..40 => Level::Info,
        40..50 => Level::Warn,
        50..60 => Level::Error,
        60..70 => Level::Fatal,
        _ => return None,
    })
}

/// The level that a line of text says at its beginning, colour codes not counted.
///
/// It is behind nothing but what a logger writes before it (times, process ids, threads, names), and it is marked as a
/// level: in brackets, by a colon, as the value of `level=`, as a logger's letter, or in upper case between separators.
/// So `ERROR cannot open` and even `INFO is good` say one, and `Error handling enabled` does not.
pub fn of_text(line: &[u8]) -> Option<Level> {
    if prefix::is_sentence(line) {
        return None;
    }
    let head = line.get(..WINDOW).unwrap_or(line);
    if memchr::memchr(ESCAPE, head).is_some() { of_coloured(head) } else { of_head(head) }
}

/// The same of a line that is known to have no colour codes.
pub fn of_plain(line: &[u8]) -> Option<Level> {
    if prefix::is_sentence(line) {
        return None;
    }
    of_head(line.get(..WINDOW).unwrap_or(line))
}

fn of_head(head: &[u8]) -> Option<Level> {
    let head = head.trim_ascii_start();
    forms::of_letter(head).or_else(|| prefix::of_word(head))
}

/// The level of an event's text. Where it has a newline it is a stack trace, which is an error unless its first line says
/// something else.
pub fn of_event(text: &[u8]) -> Level {
    let (first, otherwise) = match memchr::memchr(b'\n', text) {
        Some(end) => (text.get(..end).unwrap_or(text), Level::Error),
        None => (text, Level::Info),
    };
    of_text(first).unwrap_or(otherwise)
}

/// Reads the text without its terminal escape sequences (ECMA-48, 5.4).
#[cold]
fn of_coloured(head: &[u8]) -> Option<Level> {
    let mut plain = [0; WINDOW];
    let mut length = 0;
    let mut bytes = head.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != ESCAPE {
            if let Some(place) = plain.get_mut(length) {
                *place = byte;
                length += 1;
            }
        } else if bytes.next() == Some(b'[') {
            // Parameters, and one byte that ends them.
            bytes.find(|byte| (0x40..=0x7e).contains(byte));
        }
    }
    of_head(plain.get(..length).unwrap_or_default())
}
