//! How far a JSON string goes on without a byte that means something in it, eight bytes at a time.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = ONES << 7;

/// The length of the run of bytes at the beginning of which none is `"`, `\`, a control character or DEL.
pub fn run(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | ..0x20 | 0x7f);
    bytes.len() - rest.len() + rest.iter().position(is_special).unwrap_or(rest.len())
}

/// The high bit of each special byte. Above the first of them others can be set as well: what is taken from a byte that
/// is too small is borrowed from the next one.
const fn special(word: u64) -> u64 {
    let quote = zeros(word ^ (ONES * b'"' as u64));
    let backslash = zeros(word ^ (ONES * b'\\' as u64));
    let delete = zeros(word ^ (ONES * 0x7f));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | delete | control) & HIGH_BITS
}

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
                let ends = byte < 0x20 || [b'"', b'\\', 0x7f].contains(&byte);
                assert_eq!(run(&bytes), if ends { place } else { 24 }, "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_run_is_as_long_as_when_it_is_counted_byte_by_byte(bytes: Vec<u8>) {
            let ends = |byte: &u8| *byte < 0x20 || [b'"', b'\\', 0x7f].contains(byte);
            prop_assert_eq!(run(&bytes), bytes.iter().position(ends).unwrap_or(bytes.len()));
        }
    }
}
