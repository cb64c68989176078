//! The load, by the example program `load`, and what it has counted.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::{Map, Value};

use crate::harness::example;

/// A load that goes on until it is ended.
pub struct Load {
    program: Child,
    output: BufReader<ChildStdout>,
    begin: Instant,
}

impl Load {
    /// So many requests a second at a port of 127.0.0.1, for each of the paths in turn, beside so many streams; all of
    /// it is under way when this returns.
    pub fn begin(port: u16, rate: u32, streams: u32, paths: &[&str]) -> Self {
        let mut command = Command::new(example("load"));
        command.args([u32::from(port), rate, streams].map(|number| number.to_string()));
        command.args(paths).stdin(Stdio::piped()).stdout(Stdio::piped());
        let begin = Instant::now();
        let mut program = command.spawn().expect("the load");
        let mut output = BufReader::new(program.stdout.take().expect("its output"));
        let mut line = String::new();
        output.read_line(&mut line).expect("what it says");
        assert_eq!(line, "steady\n", "of the load");
        Self { program, output, begin }
    }

    /// The second of [`Tally::seconds`] that it is in.
    pub fn second(&self) -> usize {
        usize::try_from(self.begin.elapsed().as_secs()).expect("a load of few years")
    }

    /// Begins nothing more; what it has counted once the last answer is there.
    pub fn end(mut self) -> Tally {
        drop(self.program.stdin.take());
        Tally(serde_json::from_reader(&mut self.output).expect("what the load has counted"))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// What became of the requests and the streams.
pub struct Tally(Value);

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0["requests"], self.0["streams"])
    }
}

impl Tally {
    /// How many requests were begun.
    pub fn begun(&self) -> u64 {
        self.outcomes().map(|(_, _, count)| count).sum()
    }

    /// How many of them were for this path.
    pub fn of(&self, path: &str) -> u64 {
        self.outcomes().filter(|(at, _, _)| *at == path).map(|(_, _, count)| count).sum()
    }

    /// How many requests for this path ended so.
    pub fn ended(&self, path: &str, outcome: &str) -> u64 {
        let of = |(at, how, count)| if at == path && how == outcome { count } else { 0 };
        self.outcomes().map(of).sum()
    }

    /// How many requests were not answered with 200, to the last byte.
    pub fn lost(&self) -> u64 {
        self.outcomes().filter(|(_, how, _)| *how != "200").map(|(_, _, count)| count).sum()
    }

    /// In how many ways they were lost, and how often: `503 of the proxy: 3, cut: 41`.
    pub fn losses(&self) -> String {
        let mut losses = std::collections::BTreeMap::new();
        for (_, how, count) in self.outcomes().filter(|(_, how, _)| *how != "200") {
            *losses.entry(how).or_insert(0) += count;
        }
        let words: Vec<_> = losses.iter().map(|(how, count)| format!("{how}: {count}")).collect();
        words.join(", ")
    }

    /// What became of the streams: `opened`, `message`, `moved`, `dropped`, `cut`, `refused`.
    pub fn streams(&self, what: &str) -> u64 {
        self.0["streams"][what].as_u64().unwrap_or(0)
    }

    /// Each second, by when its requests were begun: how many for the path ended so.
    pub fn seconds(&self, path: &str, outcome: &str) -> Vec<u64> {
        let seconds = self.0["seconds"].as_array().expect("the seconds");
        seconds.iter().map(|second| second[path][outcome].as_u64().unwrap_or(0)).collect()
    }

    /// The same, however they ended.
    pub fn seconds_of(&self, path: &str) -> Vec<u64> {
        let seconds = self.0["seconds"].as_array().expect("the seconds");
        let sum = |outcomes: &Value| {
            outcomes.as_object().into_iter().flat_map(Map::values).filter_map(Value::as_u64).sum()
        };
        seconds.iter().map(|second| sum(&second[path])).collect()
    }

    fn outcomes(&self) -> impl Iterator<Item = (&str, &str, u64)> {
        entries(&self.0["requests"]).iter().flat_map(|(path, outcomes)| {
            entries(outcomes)
                .iter()
                .map(move |(how, count)| (path.as_str(), how.as_str(), count.as_u64().unwrap_or(0)))
        })
    }
}

fn entries(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}
