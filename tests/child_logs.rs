//! The command's output as JSON: what arrives, that nothing is missing, and what becomes of everybody meanwhile.

mod bytes;
mod drops;
mod end;
mod memory;
mod objects;
mod pressure;
mod reopening;
mod settings;
mod terminals;
mod together;
mod traces;

use std::path::Path;

use serde_json::Value;

use crate::harness::{LIMIT, Running, Scratch, Stead};

/// The longest line that stays whole: the README's 1 MiB.
const LONGEST: usize = 1024 * 1024;

/// With JSON asked for, and none of stead's own events between the command's lines.
fn json(stead: Stead) -> Stead {
    stead.options(["--logs", "json", "--log-level", "off"])
}

/// What a stream has said, an object a line.
fn objects(lines: &[String]) -> Vec<Value> {
    let parse = |line: &String| {
        let start: String = line.chars().take(200).collect();
        serde_json::from_str(line).unwrap_or_else(|e| panic!("not JSON ({e}): {start}"))
    };
    lines.iter().map(parse).collect()
}

/// What a command says on both streams in the end.
fn said_by(mut stead: Running) -> [Vec<Value>; 2] {
    assert_eq!(stead.wait_exit(LIMIT), 0);
    [stead.stdout(), stead.stderr()].map(|lines| objects(&lines))
}

/// What a shell script says on standard output.
fn said(script: &str) -> Vec<Value> {
    let [out, _] = said_by(json(Stead::script(script)).start());
    out
}

/// What comes of these bytes on standard output, written at once.
fn through(bytes: impl AsRef<[u8]>) -> Vec<Value> {
    let scratch = Scratch::new();
    let file = scratch.file("bytes", bytes, 0o644);
    let [out, _] = said_by(json(Stead::run(["cat".into(), file])).start());
    out
}

fn messages(objects: &[Value]) -> Vec<&str> {
    objects.iter().map(|object| object["message"].as_str().expect("a message")).collect()
}

/// The bytes that text lines were made of, by the README's rules: the decoded message, and a newline unless the line is a
/// piece behind which none stood.
fn bytes_of(objects: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for object in objects {
        let message = object["message"].as_str().expect("a message");
        match object.get("escaped") {
            Some(Value::Bool(true)) => bytes.extend(unescaped(message)),
            None => bytes.extend(message.as_bytes()),
            Some(other) => panic!("escaped is {other}"),
        }
        let is_cut = object["partial"] == true && object["partial_last"] == false;
        if !is_cut && object.get("newline") != Some(&Value::Bool(false)) {
            bytes.push(b'\n');
        }
    }
    bytes
}

/// `\\` is a backslash and `\xHH` a byte.
fn unescaped(message: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = message.as_bytes();
    while let [first, behind @ ..] = rest {
        match behind {
            _ if *first != b'\\' => {
                bytes.push(*first);
                rest = behind;
            }
            [b'\\', behind @ ..] => {
                bytes.push(b'\\');
                rest = behind;
            }
            [b'x', high, low, behind @ ..] => {
                let digits = [*high, *low];
                let digits = str::from_utf8(&digits).expect("two digits");
                bytes.push(u8::from_str_radix(digits, 16).expect("a byte in hexadecimal digits"));
                rest = behind;
            }
            _ => panic!("a backslash that means nothing in {message:?}"),
        }
    }
    bytes
}

/// Fails where bytes differ, and shows where: whole megabytes help nobody.
fn assert_same(came: &[u8], sent: &[u8], what: &str) {
    if came == sent {
        return;
    }
    let at = came.iter().zip(sent).take_while(|(a, b)| a == b).count();
    let near = |bytes: &[u8]| {
        let part = &bytes[at.saturating_sub(20)..bytes.len().min(at + 20)];
        part.escape_ascii().to_string()
    };
    let (came_near, sent_near) = (near(came), near(sent));
    let lengths = (came.len(), sent.len());
    panic!("{what}: of {lengths:?} bytes, byte {at} differs: {came_near} for {sent_near}");
}

/// `emit` of these bytes on both streams.
fn emit(scratch: &Scratch, out: &[u8], err: &[u8], seed: u64) -> Stead {
    let [out, err] = [("out", out), ("err", err)].map(|(name, bytes)| {
        let path = scratch.file(name, bytes, 0o644);
        Path::to_str(&path).expect("a path of text").to_owned()
    });
    Stead::example("emit").args([out, err, seed.to_string()])
}
