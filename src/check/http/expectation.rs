//! What an answer must be like: its status, its body, a value in it; and Kong's own answer.

use serde_json::Value;

use crate::check::exchange::Answer;
use crate::check::options::Options;
use crate::check::{Class, Detail, Fact, ProbeError};
use crate::value::Wrong;

/// What is asked of an answer.
#[derive(Debug)]
pub(super) struct Expectation {
    statuses: Vec<(u16, u16)>,
    body: Option<String>,
    json: Option<(String, String)>,
}

impl Expectation {
    /// Takes `status`, `body` and `json`.
    pub(super) fn take(options: &mut Options) -> Result<Self, Wrong> {
        Ok(Self {
            statuses: options.take_as("status", statuses)?.unwrap_or_else(|| vec![(200, 399)]),
            body: options.take("body"),
            json: options.take_as("json", pointer_and_value)?,
        })
    }

    /// Whether the body must be read.
    pub(super) fn is_of_the_body(&self) -> bool {
        self.body.is_some() || self.json.is_some()
    }

    pub(super) fn judge(&self, answer: &Answer) -> Result<(), ProbeError> {
        let status = answer.status.as_u16();
        if !self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
            return Err(ProbeError::new(Class::HttpStatus, format!("status {status}")));
        }
        let wrong = |text: String| Err(ProbeError::new(Class::HttpBody, text));
        if let Some(wanted) = &self.body
            && !contains(&answer.body, wanted.as_bytes())
        {
            return wrong(format!("the body{} does not hold what it should", extent(answer)));
        }
        if let Some((pointer, wanted)) = &self.json {
            let found = json(answer)?.pointer(pointer).map(text_of);
            if found.as_deref() != Some(wanted) {
                let what = if found.is_some() { "has another value" } else { "is not there" };
                return wrong(format!("{pointer} {what} in the body"));
            }
        }
        Ok(())
    }
}

/// What Kong says of itself: the answer of `GET /status`, Kong's Admin API and Status API reference.
pub(super) struct Kong {
    reaches_database: bool,
    connections: Option<u64>,
}

impl Kong {
    pub(super) fn read(answer: &Answer) -> Result<Self, ProbeError> {
        let status = json(answer)?;
        let reachable = status.pointer("/database/reachable").and_then(Value::as_bool);
        let reaches_database = reachable
            .ok_or_else(|| ProbeError::new(Class::HttpBody, "no answer of Kong's status API"))?;
        let connections = status.pointer("/server/connections_active").and_then(Value::as_u64);
        Ok(Self { reaches_database, connections })
    }

    /// Adds to the detail, and gives what is wrong though Kong works.
    pub(super) fn tell(self, detail: &mut Detail) -> Option<ProbeError> {
        detail.push(("database_reachable", Fact::Flag(self.reaches_database)));
        detail.extend(self.connections.map(|count| ("connections", Fact::Count(count))));
        let text = "Kong does not reach its database";
        (!self.reaches_database).then(|| ProbeError::new(Class::HttpBody, text))
    }
}

/// `200-399`, `200,204`.
fn statuses(text: &str) -> Result<Vec<(u16, u16)>, Wrong> {
    let status = |text: &str| text.trim().parse().ok().filter(|n| (100..=599).contains(n));
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (status(first)?, status(last)?);
        (first <= last).then_some((first, last))
    };
    let ranges: Option<_> = text.split(',').map(range).collect();
    ranges.ok_or_else(|| "not statuses from 100 to 599 (write 200-399 or 200,204)".to_owned())
}

/// `/pointer=value`, RFC 6901.
fn pointer_and_value(text: &str) -> Result<(String, String), Wrong> {
    let pair = text.split_once('=').filter(|(pointer, _)| pointer.starts_with('/'));
    let (pointer, value) = pair.ok_or("not /pointer=value (write /status=ok)")?;
    Ok((pointer.to_owned(), value.to_owned()))
}

/// A value as it is written in an option: a string without its quotes, all else as JSON.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn json(answer: &Answer) -> Result<Value, ProbeError> {
    // The parser's own words could quote the body.
    serde_json::from_slice(&answer.body).map_err(|_| {
        ProbeError::new(Class::HttpBody, format!("the body{} is no JSON", extent(answer)))
    })
}

/// How much of the body is spoken of.
fn extent(answer: &Answer) -> &'static str {
    if answer.whole { "" } else { ", as far as it is read," }
}

fn contains(body: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || body.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::{HeaderMap, StatusCode};

    fn judge(options: &[(&str, &str)], status: u16, body: &str) -> Option<Class> {
        let mut taken = Options::default();
        options.iter().for_each(|(name, text)| taken.add(*name, *text));
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.into(),
            whole: true,
        };
        Expectation::take(&mut taken).unwrap().judge(&answer).err().map(|error| error.class)
    }

    #[test]
    fn statuses_are_ranges_and_lists() {
        let wrong = Some(Class::HttpStatus);
        for (option, status, expected) in [
            (None, 200, None),
            (None, 399, None),
            (None, 400, wrong),
            (Some("200"), 204, wrong),
            (Some("200,204"), 204, None),
            (Some("200-299, 404"), 404, None),
            (Some("200-299,404"), 302, wrong),
        ] {
            let options: Vec<_> = option.map(|text| ("status", text)).into_iter().collect();
            assert_eq!(judge(&options, status, ""), expected, "{option:?} {status}");
        }
        for text in ["", "ok", "99", "600", "300-200", "200-", "200,,204", "-"] {
            assert!(statuses(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_body_holds_its_part_wherever_it_is() {
        let wrong = Some(Class::HttpBody);
        for (part, body, expected) in [
            ("ok", "all ok", None),
            ("OK", "all ok", wrong),
            ("", "", None),
            ("long", "lon", wrong),
        ] {
            assert_eq!(judge(&[("body", part)], 200, body), expected, "{part}");
        }
    }

    #[test]
    fn a_value_in_json_is_compared_as_it_is_written() {
        let wrong = Some(Class::HttpBody);
        let body = r#"{"status":"ok","deep":[{"n":3,"on":true,"a/b":null}],"text":"a=b"}"#;
        for (option, expected) in [
            ("/status=ok", None),
            ("/status=down", wrong),
            ("/deep/0/n=3", None),
            ("/deep/0/on=true", None),
            ("/deep/0/a~1b=null", None),
            ("/text=a=b", None),
            ("/nothing=", wrong),
        ] {
            assert_eq!(judge(&[("json", option)], 200, body), expected, "{option}");
        }
        assert_eq!(judge(&[("json", "/status=ok")], 200, "status: ok"), wrong);
        assert!(pointer_and_value("status=ok").is_err());
        assert!(pointer_and_value("/status").is_err());
    }
}
