//! What leaves of lines in which something must not.

use std::io::Write;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn redactor(patterns: &[&str], secrets: &[&str]) -> Redactor {
    let patterns = patterns.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
    let secrets = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Redactor::new(Redactions::new(patterns, secrets))
}

fn written(to: &mut Vec<u8>, write: impl FnOnce(&mut Output<'_>) -> io::Result<()>) {
    let mut buffer = Vec::with_capacity(16);
    let mut output = Output::new(&mut buffer, to);
    write(&mut output).and_then(|()| output.flush()).unwrap();
}

/// What a line is when it is redacted and its message is had back.
fn redacted(redactor: &mut Redactor, line: &[u8]) -> Vec<u8> {
    let mut to = b"\"".to_vec();
    let text = str::from_utf8(line);
    match text {
        Ok(text) => written(&mut to, |to| redactor.write_text(text, to)),
        Err(_) => written(&mut to, |to| redactor.write_bytes(line, to)),
    }
    to.push(b'"');
    let message: String = serde_json::from_slice(&to).unwrap();
    if text.is_ok() {
        return message.into_bytes();
    }
    let mut bytes = Vec::new();
    let mut rest = message.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let (byte, length) = match (first, behind) {
            (b'\\', [b'x', ..]) => {
                (u8::from_str_radix(str::from_utf8(&behind[1..3]).unwrap(), 16).unwrap(), 3)
            }
            (b'\\', _) => (b'\\', 1),
            _ => (*first, 0),
        };
        bytes.push(byte);
        rest = &behind[length..];
    }
    bytes
}

fn object(redactor: &mut Redactor, inside: &str) -> String {
    let mut to = Vec::new();
    written(&mut to, |to| redactor.write_object(inside, to));
    String::from_utf8(to).unwrap()
}

#[test]
fn matches_and_secrets_are_hidden_and_the_rest_stays() {
    let mut redactor =
        redactor(&["card [0-9]{4}", "x*", "^$"], &["hunter2", "hunter2-long", "short"]);
    for (line, expected) in [
        (&b"card 1234, card 56789"[..], &b"[redacted], [redacted]9"[..]),
        (b"hunter2-longer", b"[redacted]er"),
        (b"hunter2hunter2", b"[redacted][redacted]"),
        (b"card hunter2", b"card [redacted]"),
        (b"a short one xx", b"a short one [redacted]"),
        (b"", b""),
        ("\u{e4}\u{df}".as_bytes(), "\u{e4}\u{df}".as_bytes()),
    ] {
        assert_eq!(redacted(&mut redactor, line), expected, "{line:?}");
    }
}

#[test]
fn overlapping_matches_are_hidden_as_one() {
    let mut redactor = redactor(&["abcdef", "defghi"], &["ghijkl"]);
    assert_eq!(redacted(&mut redactor, b"-abcdefghijkl-"), b"-[redacted]-");
}

#[test]
fn bytes_that_are_no_utf_8_neither_hide_a_match_nor_make_one_up() {
    let mut redactor = redactor(&["card [0-9]{4}", "pin=\\S+", "\u{fffd}"], &["hunter2"]);
    for (line, expected) in [
        (&b"\xff card 1234 \xc3"[..], &b"\xff [redacted] \xc3"[..]),
        (b"\xf0\x9f\x98hunter2\x80", b"\xf0\x9f\x98[redacted]\x80"),
        (b"pin=\xff\xfe12 \xff", b"[redacted] \xff"),
        (b"hun\xffter2", b"hun\xffter2"),
        (b"\xff\x00\x01\x02hunter2", b"\xff\x00\x01\x02[redacted]"),
    ] {
        assert_eq!(redacted(&mut redactor, line), expected, "{line:?}");
    }
    // Every byte of ASCII is there already.
    let mut line: Vec<u8> = (0..=u8::MAX).collect();
    line.extend(b"hunter2");
    let expected: Vec<u8> = (0..=u8::MAX).chain(REDACTED.iter().copied()).collect();
    assert_eq!(redacted(&mut redactor, &line), expected);
}

#[test]
fn of_an_object_the_values_are_redacted_and_only_what_changes_is_written_anew() {
    let mut redactor = redactor(&["card [0-9]+", "^4111[0-9]+$", "\u{1f600}"], &["hunt\"er2"]);
    for (inside, expected) in [
        (
            r#""a" : "\u0063ard 12 \t\u00e9" , "b":"\u00e9""#,
            r#""a" : "[redacted] \té" , "b":"\u00e9""#,
        ),
        (
            r#""a":{"b":["card 1",{"c":"card 2"}]}"#,
            r#""a":{"b":["[redacted]",{"c":"[redacted]"}]}"#,
        ),
        (r#""card 1" : 1,"card 2":"card 3""#, r#""card 1" : 1,"card 2":"[redacted]""#),
        (
            r#""a":"hunt\"er2","b":"\\","c":"hunt\u0022er2""#,
            r#""a":"[redacted]","b":"\\","c":"[redacted]""#,
        ),
        (
            r#""a":41111111,"b":-41111,"c":[4111222,1],"d":4111"#,
            r#""a":"[redacted]","b":-41111,"c":["[redacted]",1],"d":4111"#,
        ),
        (r#""a":"\ud83d\ude00\/""#, r#""a":"[redacted]/""#),
        (
            r#""a":null,"b":true,"c":1e5,"d":{},"e":[ ],"f":"""#,
            r#""a":null,"b":true,"c":1e5,"d":{},"e":[ ],"f":"""#,
        ),
        ("", ""),
    ] {
        assert_eq!(object(&mut redactor, inside), expected, "{inside}");
    }
}

#[test]
fn a_number_is_hidden_where_all_of_it_is_a_secret() {
    let mut redactor = redactor(&["[0-9]{6}"], &["7777777"]);
    let inside = r#""a":1234567,"b":123456,"c":7777777,"d":-123456"#;
    let expected = r#""a":1234567,"b":"[redacted]","c":"[redacted]","d":-123456"#;
    assert_eq!(object(&mut redactor, inside), expected);
}

#[test]
fn the_secrets_of_an_environment_are_those_that_are_named_so_and_the_passwords_in_urls() {
    let variables = [
        ("DB_PASSWORD", "hunter2"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/db"),
        ("MEILI_MASTER_KEY", "master"),
        ("api_token", "token1"),
        ("DATABASE_URL", "postgres://app:p%40ss:w0rd@db:5432/app?x=y@z"),
        ("PROXY", "http://user@proxy/"),
        ("HOME_URL", "https://example.com/a:b@c"),
        ("PWD", "/app"),
        ("KEYBOARD", "german"),
        ("MONKEY", "banana"),
        ("TLS_KEY", "-----BEGIN PRIVATE KEY-----\nMIIEvQIB\nADANBgkq\n-----END PRIVATE KEY-----"),
    ];
    let secrets = secrets_among(variables.into_iter());
    let all_of_key = variables[10].1;
    let expected = [
        "hunter2",
        "master",
        "token1",
        "p%40ss:w0rd",
        "p@ss:w0rd",
        all_of_key,
        "MIIEvQIB",
        "ADANBgkq",
    ];
    assert_eq!(secrets, expected);
}

#[test]
fn what_is_looked_for_is_never_shown() {
    let shown = format!("{:?}", redactor(&["s3cr3t"], &["s3cr3t"]));
    assert!(!shown.contains("s3cr3t"), "{shown}");
}

proptest! {
    #[test]
    fn no_secret_is_left_in_any_line(
        before in prop::collection::vec(any::<u8>(), 0..12),
        after in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let line = [&before, &b"hunter2"[..], &after].concat();
        let expected = [&before, REDACTED, &after].concat();
        let mut redactor = redactor(&[], &["hunter2"]);
        prop_assert_eq!(redacted(&mut redactor, &line), expected);
    }

    #[test]
    fn an_object_stays_one_that_means_the_same_where_nothing_matches(text: String, number: i64) {
        let value = serde_json::json!({ &text: [&text, number, { "a": &text }, null, 1.5] });
        let line = value.to_string();
        let inside = &line[1..line.len() - 1];
        let mut none = redactor(&["\u{0}no match\u{0}"], &[]);
        prop_assert_eq!(object(&mut none, inside), inside);
        let all = format!("{{{}}}", object(&mut redactor(&["(?s)^.*$"], &[]), inside));
        let all: Value = serde_json::from_str(&all).unwrap();
        let hidden = if text.is_empty() { "" } else { "[redacted]" };
        let expected = serde_json::json!(
            { &text: [hidden, "[redacted]", { "a": hidden }, null, "[redacted]"] }
        );
        prop_assert_eq!(all, expected);
    }
}
