//! The scanner beside `serde_json`, on objects, on what was made of them by a change, and on anything.

use proptest::prelude::*;
use serde_json::{Map, Value};

use super::*;

/// Whether `serde_json` takes the line for an object; `None` where it only finds a number too large for a float.
fn is_object_to_serde(line: &str) -> Option<bool> {
    match serde_json::from_str::<Map<String, Value>>(line) {
        Ok(_) => Some(true),
        Err(error) if error.to_string().starts_with("number out of range") => None,
        Err(_) => Some(false),
    }
}

fn is_object(line: &str) -> bool {
    read(line.as_bytes(), |_, _| ()).is_some()
}

/// A value with what is hard about JSON: escapes, empty things, numbers of all forms.
fn value() -> impl Strategy<Value = String> {
    let plain = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?",
        text(),
    ];
    plain.prop_recursive(6, 64, 6, |inner| {
        let members = prop::collection::vec((text(), space(), inner.clone()), 0..5);
        let object = members.prop_map(|members| {
            let members = members.iter().map(|(key, space, value)| format!("{key}{space}:{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        let array = prop::collection::vec((inner, space()), 0..5).prop_map(|values| {
            let values = values.iter().map(|(value, space)| format!("{space}{value}{space}"));
            format!("[{}]", values.collect::<Vec<_>>().join(","))
        });
        prop_oneof![object, array]
    })
}

/// A string, in which anything may be escaped.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -!#-\\[\\]-~]{1,12}",
        "\\\\[\"\\\\/bfnrt]",
        "\\\\u[0-9a-fA-F]{4}",
        "\\\\ud[89ab][0-9a-f]{2}\\\\ud[c-f][0-9a-f]{2}",
        "[\u{80}-\u{10ffff}\u{7f}]{1,3}",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn space() -> impl Strategy<Value = String> {
    "[ \t\r\n]{0,2}"
}

/// An object, by far most of them valid.
fn object() -> impl Strategy<Value = String> {
    let member = (space(), text(), space(), value(), space());
    let members = prop::collection::vec(member, 0..6);
    (space(), members, space()).prop_map(|(before, members, after)| {
        let members = members.iter().map(|(first, key, second, value, third)| {
            format!("{first}{key}{second}:{value}{third}")
        });
        let members: Vec<_> = members.collect();
        format!("{before}{{{before}{}}}{after}", members.join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_accepts_the_objects_that_serde_json_accepts(line in object()) {
        if let Some(expected) = is_object_to_serde(&line) {
            prop_assert_eq!(is_object(&line), expected);
        }
    }

    #[test]
    fn it_judges_a_changed_object_as_serde_json_does(
        line in object(),
        place: prop::sample::Index,
        instead in "[\\[\\]{}\",:\\\\eE.0-9tfnu\u{1}\u{e4} +-]{0,2}",
    ) {
        let mut chars: Vec<char> = line.chars().collect();
        let place = place.index(chars.len());
        chars.splice(place..=place, instead.chars());
        let changed: String = chars.into_iter().collect();
        if let Some(expected) = is_object_to_serde(&changed) {
            prop_assert_eq!(is_object(&changed), expected, "{}", changed);
        }
    }

    #[test]
    fn an_object_that_is_cut_off_is_none(line in object(), place: prop::sample::Index) {
        let ends = line.trim_end().char_indices().map(|(end, _)| end).collect::<Vec<_>>();
        let cut = &line[..ends[place.index(ends.len())]];
        prop_assert!(!is_object(cut), "{}", cut);
    }

    #[test]
    fn it_judges_any_text_as_serde_json_does(line in "[\\[\\]{}\",:\\\\u0-9a-f. \t-]{0,12}") {
        for line in [line.clone(), format!("{{\"a\":{line}}}"), format!("{{{line}}}")] {
            if let Some(expected) = is_object_to_serde(&line) {
                prop_assert_eq!(is_object(&line), expected, "{}", line);
            }
        }
    }

    #[test]
    fn the_members_are_those_that_serde_json_finds(line in object()) {
        let Some(true) = is_object_to_serde(&line) else { return Ok(()) };
        let mut found = Map::new();
        let object = read(line.as_bytes(), |key, value| {
            let key = format!("\"{}\"", str::from_utf8(key).unwrap());
            let key: String = serde_json::from_str(&key).unwrap();
            found.insert(key, serde_json::from_slice(value).unwrap());
        });
        let object = object.unwrap();
        let expected: Map<String, Value> = serde_json::from_str(&line).unwrap();
        prop_assert_eq!(&found, &expected);
        prop_assert_eq!(object.is_empty, expected.is_empty());
        prop_assert_eq!(format!("{{{}}}", str::from_utf8(object.inside).unwrap()), line.trim());
    }
}

#[test]
fn what_is_no_object_is_none() {
    for line in [
        "",
        " ",
        "{",
        "}",
        "[]",
        "\"{}\"",
        "1",
        "null",
        "{}{}",
        "{},",
        "{}x",
        "\u{feff}{}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":NaN}",
        "{\"a\":nul}",
        "{\"a\":nulll}",
        "{\"a\":[1,]}",
        "{\"a\":[}]}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\\u00e\"}",
        "{\"a\":\"\\ud83d\"}",
        "{\"a\":\"\\ude00\\ud83d\"}",
        "{\"a\":\"\\ud83d\\n\"}",
        "{1:2}",
        "{\"a\" 1}",
    ] {
        assert!(!is_object(line), "{line}");
        assert_eq!(is_object_to_serde(line), Some(false), "{line}");
    }
}

#[test]
fn numbers_that_no_float_can_hold_are_valid() {
    assert!(is_object("{\"a\":1e999,\"b\":-0.0e-999}"));
}

#[test]
fn nesting_is_taken_as_deep_as_serde_json_takes_it_and_no_deeper() {
    for depth in [1, 2, 64, 125, 126, 127, 128, 100_000] {
        for (opening, closing) in [("[", "]"), ("{\"a\":", "}")] {
            let inner = opening.repeat(depth).replace(":{}", ":null");
            let inner = if opening == "[" { inner } else { inner + "1" };
            let line = format!("{{\"a\":{inner}{}}}", closing.repeat(depth));
            assert_eq!(Some(is_object(&line)), is_object_to_serde(&line), "{depth} of {opening}");
            assert_eq!(is_object(&line), depth < 127, "{depth} of {opening}");
        }
    }
}
