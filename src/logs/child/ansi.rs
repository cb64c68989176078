//! Terminal control sequences (ECMA-48), and text without them.

/// What begins every sequence. The one-byte forms of C1 are none here: they are no UTF-8.
const ESCAPE: u8 = 0x1b;

/// Appends to `to` what is left of the bytes without their sequences. One that the line's end cuts off stays.
pub fn strip(bytes: &[u8], to: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(place) = rest.iter().position(|byte| *byte == ESCAPE) {
        let Some((before, from_escape)) = rest.split_at_checked(place) else { break };
        to.extend_from_slice(before);
        // An ESC that begins no sequence is a byte like any other.
        let length = sequence(from_escape).unwrap_or_else(|| {
            to.push(ESCAPE);
            1
        });
        rest = from_escape.get(length..).unwrap_or_default();
    }
    to.extend_from_slice(rest);
}

/// The length of the sequence that these bytes begin with.
pub fn sequence(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.strip_prefix(&[ESCAPE])?;
    let (kind, rest) = rest.split_first()?;
    let behind = match kind {
        // CSI: parameters, intermediates, and a final byte.
        b'[' => 1 + ended_by(rest, 0x20..=0x3f, 0x40..=0x7e)?,
        // OSC, DCS, SOS, PM and APC: text that BEL or ST ends.
        b']' | b'P' | b'X' | b'^' | b'_' => 1 + text(rest)?,
        // With intermediates, for instance the choice of a character set.
        0x20..=0x2f => 1 + ended_by(rest, 0x20..=0x2f, 0x30..=0x7e)?,
        0x30..=0x7e => 1,
        _ => return None,
    };
    Some(1 + behind)
}

/// The length of bytes of one range with one byte of the other behind them.
fn ended_by(
    bytes: &[u8],
    within: std::ops::RangeInclusive<u8>,
    last: std::ops::RangeInclusive<u8>,
) -> Option<usize> {
    let length = bytes.iter().take_while(|byte| within.contains(byte)).count();
    last.contains(bytes.get(length)?).then_some(length + 1)
}

/// The length of a text with its BEL or ST (`ESC \`).
fn text(bytes: &[u8]) -> Option<usize> {
    let end = bytes.iter().position(|byte| [0x07, ESCAPE].contains(byte))?;
    match bytes.get(end..)? {
        [0x07, ..] => Some(end + 1),
        [_, b'\\', ..] => Some(end + 2),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stripped(bytes: &[u8]) -> Vec<u8> {
        let mut to = Vec::new();
        strip(bytes, &mut to);
        to
    }

    #[test]
    fn colours_titles_and_links_go_and_the_text_stays() {
        for (line, expected) in [
            (&b"\x1b[31mERROR\x1b[0m: no"[..], &b"ERROR: no"[..]),
            (b"\x1b[38;5;196mred\x1b[m", b"red"),
            (b"\x1b[38:2::255:0:0mred", b"red"),
            (b"\x1b]0;a title\x07text", b"text"),
            (b"\x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\.", b"link."),
            (b"\x1bPq#0\x1b\\sixel", b"sixel"),
            (b"\x1b(Bplain\x1b7\x1b8", b"plain"),
            (b"\x1b[2K\x1b[1G  50%", b"  50%"),
            (b"\x1b=keypad", b"keypad"),
            (b"no sequence", b"no sequence"),
            (b"", b""),
        ] {
            assert_eq!(stripped(line), expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_whole_sequence_stays() {
        for line in [
            &b"\x1b"[..],
            b"text\x1b",
            b"\x1b[31",
            b"\x1b[31\xc3\xa4",
            b"\x1b]0;title",
            b"\x1b(",
            b"\x1b\x80",
            b"\x1b\x1b",
        ] {
            assert_eq!(stripped(line), line, "{line:?}");
        }
    }

    #[test]
    fn an_escape_before_a_sequence_does_not_hide_it() {
        assert_eq!(stripped(b"\x1b\x1b[1mbold"), b"\x1bbold");
        assert_eq!(stripped(b"\x1b]0;\x1b[1mbold"), b"\x1b]0;bold");
    }

    proptest! {
        #[test]
        fn bytes_without_an_escape_stay_as_they_are(bytes: Vec<u8>) {
            let bytes: Vec<u8> = bytes.into_iter().filter(|byte| *byte != ESCAPE).collect();
            prop_assert_eq!(stripped(&bytes), bytes);
        }

        #[test]
        fn any_sequence_goes_and_nothing_beside_it(
            before in "[a-z\u{e4} ]{0,9}",
            sequence in "\x1b\\[[0-9;]{0,9}[A-Zm]|\x1b\\][0-9];[a-z]{0,9}(\x07|\x1b\\\\)|\x1b[()][0B]|\x1b[78c]",
            after in "[a-z\u{e4} ]{0,9}",
        ) {
            let line = format!("{before}{sequence}{after}");
            prop_assert_eq!(stripped(line.as_bytes()), format!("{before}{after}").into_bytes());
        }
    }
}
