//! How far a JSON string goes on without a byte that means something in it, eight bytes at a time. Inlined by order: the
//! crate is built for size, and all bytes pass through here.

const ONES: u64 = u64::from_le_bytes([1; 8]);
const HIGH_BITS: u64 = ONES << 7;

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

    proptest! {
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
