//! What was measured, as Markdown: to be read on a terminal and kept in `BENCHMARKS.md`.

use std::fmt;
use std::fs;
use std::io;

use crate::wrapper::{Wrappers, bare};

/// One table with a heading and what must be known to read it.
pub struct Table {
    title: String,
    note: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A figure beside what it is meant to be. The reader judges: nothing fails by a time.
pub struct Goal {
    pub what: &'static str,
    pub to_reach: &'static str,
    pub measured: String,
}

/// What one part of the bench has found out.
#[derive(Default)]
pub struct Section {
    pub tables: Vec<Table>,
    pub goals: Vec<Goal>,
}

/// Everything, in the order in which it was measured.
pub struct Report {
    machine: String,
    sections: Vec<Section>,
}

const BEGIN: &str = "<!-- figures: begin (written by make bench) -->";
const END: &str = "<!-- figures: end -->";

impl Table {
    pub fn new(title: &str, note: &str, head: &[&str]) -> Table {
        let head = head.iter().map(|&name| name.to_owned()).collect();
        Table { title: title.to_owned(), note: note.to_owned(), head, rows: Vec::new() }
    }

    pub fn row(&mut self, name: &str, cells: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(name.to_owned()).chain(cells).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "### {}\n", self.title)?;
        if !self.note.is_empty() {
            writeln!(f, "{}\n", self.note)?;
        }
        writeln!(f, "| {} |", self.head.join(" | "))?;
        writeln!(f, "| --- |{}", " ---: |".repeat(self.head.len().saturating_sub(1)))?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        writeln!(f)
    }
}

impl Report {
    pub fn about_this_machine(wrappers: &Wrappers) -> io::Result<Report> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let model = value_of(&cpus, "model name").unwrap_or("unknown processor");
        let count = crate::sys::processors()?.len();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let load = fs::read_to_string("/proc/loadavg")?;
        let load = load.split(' ').next().unwrap_or("unknown");
        let day = first_line_of(bare("date").args(["-u", "+%Y-%m-%d"]));
        let stead = first_line_of(bare(wrappers.stead.file()?).arg("--version"));
        let machine = format!(
            "{day}, {model}, {count} processors, Linux {}, load before the run {load}. {stead}; Debian packages {}.",
            kernel.trim(),
            package_versions().join(", "),
        );
        Ok(Report { machine, sections: Vec::new() })
    }

    pub fn add(&mut self, section: Section) {
        self.sections.push(section);
    }

    /// Puts the report between the two marker lines of the file; all else in it stays.
    pub fn store(&self, file: &str) -> io::Result<()> {
        let text = fs::read_to_string(file)?;
        let parts = text.split_once(BEGIN).and_then(|(before, rest)| {
            let (_, after) = rest.split_once(END)?;
            Some((before, after))
        });
        let (before, after) =
            parts.ok_or_else(|| io::Error::other("BENCHMARKS.md has lost its marker lines"))?;
        fs::write(file, format!("{before}{BEGIN}\n{self}{END}{after}"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        let mut goals =
            Table::new("What is to be reached", "", &["figure", "to reach", "measured"]);
        for goal in self.sections.iter().flat_map(|section| &section.goals) {
            goals.row(goal.what, [goal.to_reach.to_owned(), goal.measured.clone()]);
        }
        write!(f, "{goals}")?;
        self.sections.iter().flat_map(|section| &section.tables).try_for_each(|table| table.fmt(f))
    }
}

/// The value after the colon of the first line that begins with the name, as /proc writes it.
pub fn value_of<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim())
}

fn package_versions() -> Vec<String> {
    ["tini", "dumb-init", "catatonit", "nginx-light", "wrk", "curl", "wget"]
        .map(|name| {
            let mut query = bare("dpkg-query");
            format!("{name} {}", first_line_of(query.args(["-W", "-f", "${Version}", name])))
        })
        .to_vec()
}

fn first_line_of(command: &mut std::process::Command) -> String {
    let output = command.stdout(std::process::Stdio::piped()).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.ok()
        .and_then(|text| text.lines().next().map(str::to_owned))
        .unwrap_or_else(|| "of unknown version".to_owned())
}
