//! Whether a line is one JSON object, and what is at its top level: a scanner that validates all of it, allocates nothing
//! and does not recurse. It accepts what `serde_json` accepts as a `Value` (but for numbers beyond a float's range, which
//! are valid JSON all the same). So the halves of a surrogate pair that stand alone (`"\ud83d"`) make a line text: many
//! parsers reject them, and text arrives with every one.

use crate::plain;

/// How deep arrays and objects may be nested, the outermost counted: as deep as `serde_json` takes them.
const DEEPEST: u8 = 127;

/// A line that is an object.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Object<'a> {
    /// What is between its braces, as it stands there.
    pub inside: &'a [u8],
    /// Whether it has no member.
    pub is_empty: bool,
}

/// Reads a line that is one object and hands each member of its top level to `each`: the key between its quotes, with
/// its escapes, and the value as it stands there. `None` where it is not exactly one object; `each` may have been called
/// for what was before the mistake.
pub fn read<'a>(line: &'a [u8], each: impl FnMut(&'a [u8], &'a [u8])) -> Option<Object<'a>> {
    // Where no byte of the line needs a second look, a string ends at the next quote.
    if plain::is_plain::<false>(line) {
        return scan::<true>(line, each);
    }
    str::from_utf8(line).ok()?;
    scan::<false>(line, each)
}

/// Reads a line of UTF-8, whose strings are plain if `PLAIN` says so.
fn scan<'a, const PLAIN: bool>(
    line: &'a [u8],
    mut each: impl FnMut(&'a [u8], &'a [u8]),
) -> Option<Object<'a>> {
    let mut scanner = Scanner::<PLAIN> { bytes: line, at: 0 };
    scanner.skip_space();
    scanner.take(b'{')?;
    let start = scanner.at;
    scanner.skip_space();
    let is_empty = scanner.peek()? == b'}';
    if !is_empty {
        scanner.members(&mut each)?;
    }
    let inside = line.get(start..scanner.at)?;
    scanner.end()?;
    Some(Object { inside, is_empty })
}

/// A place in a line. Each method passes what it is named after, or says that it is not there. Those for a byte or a
/// string are inlined by order: each line passes through them hundreds of times.
struct Scanner<'a, const PLAIN: bool> {
    bytes: &'a [u8],
    at: usize,
}

/// Which brackets are open, the innermost in the lowest bit: set for an object, clear for an array.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: u8,
}

impl Nesting {
    fn open(&mut self, is_object: bool) -> Option<()> {
        self.objects = self.objects << 1 | u128::from(is_object);
        self.depth += 1;
        // The outermost object is not counted here.
        (self.depth < DEEPEST).then_some(())
    }

    fn close(&mut self) {
        self.objects >>= 1;
        self.depth -= 1;
    }

    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }
}

impl<'a, const PLAIN: bool> Scanner<'a, PLAIN> {
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline(always)]
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        let is_space = |byte| match byte {
            b' ' => true,
            // A plain line has no other.
            b'\t' | b'\n' | b'\r' => !PLAIN,
            _ => false,
        };
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
    }

    /// The members up to the closing brace.
    fn members(&mut self, each: &mut impl FnMut(&'a [u8], &'a [u8])) -> Option<()> {
        loop {
            let key = self.key()?;
            let value = self.at;
            self.value()?;
            each(key, self.bytes.get(value..self.at)?);
            self.skip_space();
            if self.peek()? == b'}' {
                return Some(());
            }
            self.take(b',')?;
            self.skip_space();
        }
    }

    /// The last brace and the line's end.
    fn end(&mut self) -> Option<()> {
        self.take(b'}')?;
        self.skip_space();
        (self.at == self.bytes.len()).then_some(())
    }

    /// A key and its colon; the text between its quotes is returned.
    #[inline(always)]
    fn key(&mut self) -> Option<&'a [u8]> {
        self.take(b'"')?;
        let start = self.at;
        self.string()?;
        let key = self.bytes.get(start..self.at - 1)?;
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        Some(key)
    }

    /// A value of any kind, with all that is in it.
    fn value(&mut self) -> Option<()> {
        let mut open = Nesting::default();
        loop {
            if self.value_or_opening(&mut open)? {
                continue;
            }
            while open.depth > 0 {
                self.skip_space();
                match (self.next()?, open.is_in_object()) {
                    (b'}', true) | (b']', false) => open.close(),
                    (b',', is_in_object) => {
                        self.skip_space();
                        if is_in_object {
                            self.key()?;
                        }
                        break;
                    }
                    _ => return None,
                }
            }
            if open.depth == 0 {
                return Some(());
            }
        }
    }

    /// A value without brackets, or with empty ones, or an opening bracket with what must stand before the first value
    /// behind it. Says whether it was the latter.
    fn value_or_opening(&mut self, open: &mut Nesting) -> Option<bool> {
        let first = self.next()?;
        match first {
            b'"' => self.string()?,
            b'-' | b'0'..=b'9' => self.number(first)?,
            b'{' | b'[' => {
                let is_object = first == b'{';
                open.open(is_object)?;
                self.skip_space();
                let closing = if is_object { b'}' } else { b']' };
                if self.peek()? != closing {
                    if is_object {
                        self.key()?;
                    }
                    return Some(true);
                }
                self.at += 1;
                open.close();
            }
            b't' => self.word(b"rue")?,
            b'f' => self.word(b"alse")?,
            b'n' => self.word(b"ull")?,
            _ => return None,
        }
        Some(false)
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        let is_there = self.bytes.get(self.at..)?.starts_with(word);
        self.at += word.len();
        is_there.then_some(())
    }

    /// A string whose opening quote is taken already.
    #[inline(always)]
    fn string(&mut self) -> Option<()> {
        if PLAIN {
            self.at += plain::quote(self.bytes.get(self.at..)?)? + 1;
            return Some(());
        }
        loop {
            self.at += plain::run::<false>(self.bytes.get(self.at..)?);
            match self.next()? {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// An escape whose backslash is taken already.
    fn escape(&mut self) -> Option<()> {
        match self.next()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => match self.four_digits()? {
                0xd800..=0xdbff => {
                    self.word(b"\\u")?;
                    matches!(self.four_digits()?, 0xdc00..=0xdfff).then_some(())
                }
                0xdc00..=0xdfff => None,
                _ => Some(()),
            },
            _ => None,
        }
    }

    fn four_digits(&mut self) -> Option<u32> {
        let mut number = 0;
        for _ in 0..4 {
            number = number * 16 + char::from(self.next()?).to_digit(16)?;
        }
        Some(number)
    }

    /// A number whose first byte is taken already.
    #[inline(always)]
    fn number(&mut self, first: u8) -> Option<()> {
        let leading = if first == b'-' { self.next()? } else { first };
        match leading {
            b'0' => {}
            b'1'..=b'9' => self.skip_digits(),
            _ => return None,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let is_digit = self.next()?.is_ascii_digit();
        self.skip_digits();
        is_digit.then_some(())
    }

    #[inline(always)]
    fn skip_digits(&mut self) {
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
    }
}

#[cfg(test)]
mod tests;
