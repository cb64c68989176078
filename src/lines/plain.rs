//! Whether a line has bytes that mean something in JSON, and how far a JSON string goes on without one: eight bytes at a
//! time.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = ONES << 7;

/// Whether all bytes are of ASCII's printable ones, and none is a backslash or, where `QUOTE` says so, a quote.
#[inline(always)]
pub fn is_plain<const QUOTE: bool>(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    // Without a way out, so that the compiler takes several words at once.
    let found = words.iter().fold(0, |found, word| found | marks::<QUOTE>(*word));
    let last = match bytes.last_chunk() {
        // It overlaps with what was looked at already.
        Some(last) => *last,
        None => {
            let mut last = [b' '; 8];
            last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
            last
        }
    };
    (found | marks::<QUOTE>(last)) & HIGH_BITS == 0
}

/// Has a high bit if any byte is special: only such a one borrows from the next byte or carries into it.
#[inline(always)]
const fn marks<const QUOTE: bool>(word: [u8; 8]) -> u64 {
    let word = u64::from_le_bytes(word);
    let control = word.wrapping_sub(ONES * 0x20);
    let delete = word.wrapping_add(ONES);
    let backslash = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let quote = if QUOTE { (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES) } else { 0 };
    word | control | delete | backslash | quote
}

/// Where the next quote is. All bytes are of ASCII.
#[inline(always)]
pub fn quote(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let quotes = zeros(u64::from_le_bytes(*word) ^ (ONES * b'"' as u64)) & HIGH_BITS;
        // Branches instead of a count of zeros: from line to line the keys are the same, so that the processor foresees
        // where each ends, and does not wait for it.
        if quotes != 0
            && let Some(place) = quotes.to_le_bytes().iter().position(|byte| *byte != 0)
        {
            return Some(bytes.len() - rest.len() + place);
        }
        rest = behind;
    }
    let place = rest.iter().position(|byte| *byte == b'"')?;
    Some(bytes.len() - rest.len() + place)
}

/// The length of the run of bytes at the beginning of which none is `"`, `\` or a control character: one below the space,
/// and where `DELETE` says so, DEL.
#[inline(always)]
pub fn run<const DELETE: bool>(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let special = special::<DELETE>(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = behind;
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20) || DELETE && *byte == 0x7f;
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The high bit of each special byte. Above the first of them others can be set as well: what is taken from a byte that
/// is too small is borrowed from the next one.
#[inline(always)]
const fn special<const DELETE: bool>(word: u64) -> u64 {
    let quote = zeros(word ^ (ONES * b'"' as u64));
    let backslash = zeros(word ^ (ONES * b'\\' as u64));
    let delete = if DELETE { zeros(word ^ (ONES * 0x7f)) } else { 0 };
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | delete | control) & HIGH_BITS
}

#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_special_byte_ends_a_run_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for place in 0..24 {
                let mut bytes = vec![b'a'; 24];
                bytes[place] = byte;
                let ends = byte < 0x20 || [b'"', b'\\'].contains(&byte);
                assert_eq!(run::<false>(&bytes), if ends { place } else { 24 }, "{byte}");
                let ends = ends || byte == 0x7f;
                assert_eq!(run::<true>(&bytes), if ends { place } else { 24 }, "{byte}");
            }
        }
    }

    #[test]
    fn each_special_byte_makes_a_line_special_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for (place, length) in
                (0..40).flat_map(|length| (0..length).map(move |at| (at, length)))
            {
                let mut bytes = vec![b'a'; length];
                bytes[place] = byte;
                let is_ordinary = (0x20..0x7f).contains(&byte) && byte != b'\\';
                assert_eq!(is_plain::<false>(&bytes), is_ordinary, "{byte}");
                assert_eq!(is_plain::<true>(&bytes), is_ordinary && byte != b'"', "{byte}");
            }
        }
        assert!(is_plain::<true>(b""));
    }

    proptest! {
        #[test]
        fn the_next_quote_is_where_a_search_byte_by_byte_finds_it(text in "[\"!#a]{0,40}") {
            let place = text.bytes().position(|byte| byte == b'"');
            prop_assert_eq!(quote(text.as_bytes()), place);
        }

        #[test]
        fn a_run_is_as_long_as_when_it_is_counted_byte_by_byte(bytes: Vec<u8>) {
            let ends = |byte: &u8| *byte < 0x20 || [b'"', b'\\'].contains(byte);
            let length = bytes.iter().position(ends).unwrap_or(bytes.len());
            prop_assert_eq!(run::<false>(&bytes), length);
            let length = bytes.iter().position(|byte| ends(byte) || *byte == 0x7f);
            prop_assert_eq!(run::<true>(&bytes), length.unwrap_or(bytes.len()));
        }
    }
}
