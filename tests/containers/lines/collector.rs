//! A real collector of logs, rsyslog, that reads JSON lines from a file.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::harness::{LIMIT, Scratch, until};

/// An rsyslogd that ends with its test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What rsyslog makes of these lines: for each, whether its parser of JSON took it, and the fields that it found.
pub fn read(text: &str) -> Vec<(String, Value)> {
    let scratch = Scratch::new();
    scratch.file("in", text, 0o644);
    let directory = scratch.path().to_str().expect("a path of text");
    let config = include_str!("rsyslog.conf").replace("DIRECTORY", directory);
    let config = scratch.file("conf", config, 0o644);
    let errors = scratch.path().join("errors");
    let mut rsyslogd = Command::new("/usr/sbin/rsyslogd");
    rsyslogd.arg("-n").arg("-f").arg(config).arg("-i").arg(scratch.path().join("pid"));
    rsyslogd.stdin(Stdio::null()).stderr(fs::File::create(&errors).expect("a file"));
    let rsyslogd = Rsyslog(rsyslogd.spawn().expect("rsyslogd, of a Debian package"));

    let out = || fs::read_to_string(scratch.path().join("out")).unwrap_or_default();
    let wanted = text.lines().count();
    let came = until(LIMIT, || out().matches('\n').count() >= wanted);
    drop(rsyslogd);
    let errors = fs::read_to_string(errors).expect("its errors");
    assert!(came, "rsyslog read {} of {wanted} lines: {errors}", out().lines().count());
    out().lines().map(fields).collect()
}

fn fields(line: &str) -> (String, Value) {
    let (parsed, fields) = line.split_once(' ').expect("two fields");
    (parsed.to_owned(), serde_json::from_str(fields).expect("JSON of rsyslog's own"))
}
