//! No byte is lost, added or moved within a stream.

use super::{LONGEST, assert_same, bytes_of, emit, json, messages, said_by, through};
use crate::harness::Scratch;

/// Bytes as nobody would write them: lines of all kinds and lengths.
fn strange(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(..60) {
        let longest = [2, 40, 300, 5000, 70_000][random.usize(..5)];
        let length = random.usize(..longest);
        match random.u8(..7) {
            0 => bytes.extend((0..length).map(|_| random.u8(..))),
            1 => bytes.extend((0..length).map(|_| random.u8(b' '..=b'~'))),
            2 => bytes.extend(
                (0..length).flat_map(|_| random.char('\0'..='\u{2ff}').to_string().into_bytes()),
            ),
            3 => bytes.extend((0..length).flat_map(|_| random.char(..).to_string().into_bytes())),
            4 => bytes.extend(std::iter::repeat_n(0, length)),
            5 => bytes.extend(
                (0..length)
                    .map(|_| [b'\\', b'x', b'"', b'{', 0xc3, 0xff, b'\r'][random.usize(..7)]),
            ),
            _ => bytes.extend(b"{\"cut\":\"off"),
        }
        bytes.extend([b"\n".as_slice(), b"\r\n", b"\n\n", b""][random.usize(..4)]);
    }
    bytes
}

#[test]
fn random_bytes_come_back_from_both_streams_however_they_are_cut() {
    let first = fastrand::u64(..);
    for seed in (0..12).map(|round| first.wrapping_add(round)) {
        let random = &mut fastrand::Rng::with_seed(seed);
        let (out, err) = (strange(random), strange(random));
        let scratch = Scratch::new();
        let objects = said_by(json(emit(&scratch, &out, &err, seed)).start());
        for ((objects, sent), name) in objects.iter().zip([out, err]).zip(["stdout", "stderr"]) {
            assert_same(&bytes_of(objects), &sent, &format!("seed {seed}, {name}"));
            assert!(objects.iter().all(|object| object["stream"] == name), "seed {seed}");
        }
    }
}

#[test]
fn the_ends_of_lines_are_kept() {
    assert_eq!(
        messages(&through("unix\ndos\r\nmac\r\r\n\n\r\nlast\n")),
        ["unix", "dos\r", "mac\r\r", "", "\r", "last"]
    );
}

#[test]
fn a_last_line_without_its_newline_says_so() {
    let objects = through("first\nsecond");
    assert_eq!(messages(&objects), ["first", "second"]);
    assert!(objects[0].get("partial").is_none());
    let last = &objects[1];
    assert_eq!(
        (&last["partial"], &last["partial_last"], &last["newline"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert!(through("").is_empty(), "nothing was written, and something came");
}

#[test]
fn lines_up_to_a_mebibyte_are_whole() {
    for length in [16 * 1024, 16 * 1024 + 1, 64 * 1024, 65 * 1024, 300_000, LONGEST - 1, LONGEST] {
        let line = "0123456789abcdef".repeat(length / 16 + 1)[..length].to_owned();
        let objects = through(line.clone() + "\nnext\n");
        assert_eq!(objects.len(), 2, "{length}");
        assert!(objects[0]["message"] == line.as_str(), "{length}");
        assert!(objects.iter().all(|object| object.get("partial").is_none()), "{length}");
    }
}

#[test]
fn a_longer_line_comes_in_pieces_that_can_be_joined() {
    // Characters of three bytes, which no piece may cut.
    for (length, end) in [(LONGEST + 2, "\n"), (2 * LONGEST, ""), (3 * LONGEST + 3, "\nnext\n")] {
        let sent = "\u{20ac}".repeat(length / 3) + end;
        let objects = through(&sent);
        assert_same(&bytes_of(&objects), sent.as_bytes(), &format!("{length}"));
        let pieces: Vec<_> = objects.iter().filter(|object| object["partial"] == true).collect();
        assert_eq!(pieces.len(), length.div_ceil(LONGEST), "{length}");
        for (piece, ordinal) in pieces.iter().zip(1..) {
            assert_eq!(piece["partial_id"], pieces[0]["partial_id"], "{length}");
            assert_eq!(piece["partial_ordinal"], ordinal, "{length}");
            assert_eq!(piece["partial_last"], ordinal == pieces.len(), "{length}");
            assert!(piece.get("escaped").is_none(), "a character was cut");
        }
    }
}

#[test]
fn nul_and_invalid_bytes_are_had_back_as_the_readme_says() {
    let objects = through(b"nul \0\nlatin \xe9\\x41\\\nplain \\x41\n");
    assert_eq!(messages(&objects), ["nul \0", "latin \\xe9\\\\x41\\\\", "plain \\x41"]);
    assert_eq!(objects[1]["escaped"], true);
    assert!(objects[0].get("escaped").is_none() && objects[2].get("escaped").is_none());
    assert_eq!(bytes_of(&objects), b"nul \0\nlatin \xe9\\x41\\\nplain \\x41\n");
}

#[test]
fn the_lines_of_each_stream_stay_in_their_order() {
    let numbers = |from| (0..20_000).map(|n| format!("{}\n", from + n)).collect::<String>();
    let (out, err) = (numbers(0), numbers(100_000));
    let scratch = Scratch::new();
    let objects = said_by(json(emit(&scratch, out.as_bytes(), err.as_bytes(), 7)).start());
    for (objects, sent) in objects.iter().zip([out, err]) {
        assert_eq!(messages(objects), sent.lines().collect::<Vec<_>>());
    }
}
