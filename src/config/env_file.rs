//! Files of variables, in the form that Docker and Compose know: `NAME=value` lines with quotes and comments, in which
//! nothing is expanded.

use std::path::Path;

use super::sources::{Raw, Sources};
use super::value::Wrong;
use super::{Environment, Flag, Mistake, ReadFile};

/// Variables that say where stead itself is found, or what is read for it, and why they cannot stand in a file.
const ELSEWHERE: [(&str, &str); 3] = [
    (
        "STEAD_LISTEN",
        "only in the environment or the configuration file, where `stead check` sees it too",
    ),
    ("STEAD_CONFIG", "only in the environment, for it says what else is read"),
    ("STEAD_ENV_FILE", "only in the environment or the configuration file"),
];

/// A variable of a file.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) value: String,
    /// The file, its line and the name.
    pub(super) place: String,
}

impl Sources {
    /// Lays the files of variables below the environment: what that has wins, and so does a later file over an earlier
    /// one. Gives the environment that they make together.
    pub(super) fn add_env_files(
        &mut self,
        flags: &[Flag],
        env: &Environment,
        read: ReadFile,
    ) -> Result<Environment, Mistake> {
        let paths = self.all("env_file", |path| Ok(path.to_owned()))?;
        let mut variables = Vec::new();
        for path in &paths {
            let text = read(Path::new(path)).map_err(|error| {
                Mistake::at(path, format!("cannot read this file of variables: {error}"))
            })?;
            variables.extend(parse(path, &text)?);
        }
        let env = env.with(variables);
        for (key, text, place) in env.settings()? {
            if flags.iter().all(|(flag, _)| *flag != key) {
                self.raw.insert(key, Raw::of_variable(key, text, place));
            }
        }
        self.show("env_file", if paths.is_empty() { "none".to_owned() } else { paths.join(", ") });
        Ok(env)
    }
}

/// The variables of a file's text, in their order. `path` is for the places' sake.
fn parse(path: &str, text: &str) -> Result<Vec<Variable>, Mistake> {
    let mut variables: Vec<Variable> = Vec::new();
    let (mut rest, mut line) = (text.strip_prefix('\u{feff}').unwrap_or(text), 1);
    while !rest.is_empty() {
        let (found, behind) =
            entry(rest).map_err(|wrong| Mistake::at(format!("{path}:{line}"), wrong))?;
        if let Some((name, value)) = found {
            let place = format!("{path}:{line}: {name}");
            if let Some((_, why)) = ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name) {
                return Err(Mistake::at(place, *why));
            }
            variables.push(Variable { name: name.to_owned(), value, place });
        }
        line += rest
            .len()
            .checked_sub(behind.len())
            .and_then(|end| rest.get(..end))
            .map_or(0, |read| read.matches('\n').count());
        rest = behind;
    }
    Ok(variables)
}

/// A name and its value, if there is one, and what stands behind them.
type Entry<'a> = (Option<(&'a str, String)>, &'a str);

/// What the first line says, which goes on for as long as a quote is open. A name alone has the value that it has in the
/// environment, as with Docker.
fn entry(text: &str) -> Result<Entry<'_>, Wrong> {
    let (line, behind) = split_line(text);
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok((None, behind));
    }
    let line = line.strip_prefix("export").filter(|it| it.starts_with([' ', '\t'])).unwrap_or(line);
    let name = line.split('=').next().unwrap_or_default().trim();
    if !is_name(name) {
        return Err("not NAME=value".to_owned());
    }
    if !line.contains('=') {
        return Ok((None, behind));
    }
    let (_, given) = text.split_once('=').unwrap_or_default();
    let (value, behind) = match given.trim_start_matches([' ', '\t']).split_at_checked(1) {
        Some(("'", inside)) => closed(inside.split_once('\'').map(|(a, b)| (a.to_owned(), b)))?,
        Some(("\"", inside)) => closed(in_double_quotes(inside))?,
        _ => (bare(split_line(given).0), behind),
    };
    match value.contains('\0') {
        true => Err("a NUL in it".to_owned()),
        false => Ok((Some((name, value)), behind)),
    }
}

fn split_line(text: &str) -> (&str, &str) {
    text.split_once('\n').unwrap_or((text, ""))
}

fn is_name(text: &str) -> bool {
    !text.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.')
        && !text.is_empty()
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

/// A value without quotes: to the end of the line, or to a comment, which has a blank before it.
fn bare(text: &str) -> String {
    let blank_before = |at: usize| text.get(..at).is_some_and(|all| all.ends_with([' ', '\t']));
    let comment = text.match_indices('#').find(|(at, _)| blank_before(*at));
    let end = comment.map_or(text.len(), |(at, _)| at);
    text.get(..end).unwrap_or_default().trim().to_owned()
}

/// A value in quotes, behind which the line may hold a comment and nothing else.
fn closed(quoted: Option<(String, &str)>) -> Result<(String, &str), Wrong> {
    let (value, behind) = quoted.ok_or("a quote without its end")?;
    let (left, behind) = split_line(behind);
    match left.trim() {
        "" => Ok((value, behind)),
        left if left.starts_with('#') => Ok((value, behind)),
        _ => Err("something behind the closing quote".to_owned()),
    }
}

/// What stands before the closing quote, and what behind it.
fn in_double_quotes(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.chars());
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => match chars.next()? {
                'n' => value.push('\n'),
                'r' => value.push('\r'),
                't' => value.push('\t'),
                c @ ('"' | '\\' | '$') => value.push(c),
                c => value.extend(['\\', c]),
            },
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(String, String)> {
        let variables = parse("f", text).unwrap().into_iter();
        variables.map(|variable| (variable.name, variable.value)).collect()
    }

    #[test]
    fn values_are_read_as_compose_reads_them_without_expansion() {
        for (text, expected) in [
            ("A=b", "b"),
            ("  export A = b c \t", "b c"),
            ("export\tA=b\r\n", "b"),
            ("A=", ""),
            ("A=''", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            ("A= #c", ""),
            ("A=it's \"so\"", "it's \"so\""),
            ("A=$B ${C} \\n", "$B ${C} \\n"),
            ("A='b  # $C \\n \"' # comment", "b  # $C \\n \""),
            ("A=\"b  # ' \\\" \\\\ \\$ \\n\\t\\r \\x\"", "b  # ' \" \\ $ \n\t\r \\x"),
            ("A=\"one\ntwo\"\n", "one\ntwo"),
            ("A='one\ntwo'#c", "one\ntwo"),
            ("A=x=y", "x=y"),
            ("\u{feff}A=\u{e4}", "\u{e4}"),
        ] {
            assert_eq!(found(text), [("A".to_owned(), expected.to_owned())], "{text:?}");
        }
        assert_eq!(found("\n# A=1\n  \n\t#\nB\nexport C\n"), []);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found("A=1\nB.c-d_9=2\n"), [pair("A", "1"), pair("B.c-d_9", "2")]);
        assert_eq!(found("export=1\nexportA=2"), [pair("export", "1"), pair("exportA", "2")]);
    }

    #[test]
    fn a_bad_line_is_a_mistake_at_its_number_without_its_text() {
        for (text, expected) in [
            ("A=1\ns3cret text", "f:2: not NAME=value"),
            ("A='1\n2'\n\n9s3cret=1", "f:4: not NAME=value"),
            ("A=1\nB='s3cret\nC=2\n", "f:2: a quote without its end"),
            ("A=\"s3cret\\\"", "f:1: a quote without its end"),
            ("A=\"\"\n\nA='b's3cret", "f:3: something behind the closing quote"),
            ("=s3cret", "f:1: not NAME=value"),
            ("A=s3cret\0", "f:1: a NUL in it"),
        ] {
            assert_eq!(parse("f", text).unwrap_err().to_string(), expected, "{text:?}");
        }
        let wrong = parse("f", "\nSTEAD_LISTEN=off\n").unwrap_err().to_string();
        assert!(wrong.starts_with("f:2: STEAD_LISTEN: only in the environment"), "{wrong}");
    }
}
