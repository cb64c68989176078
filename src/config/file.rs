//! The TOML file: each key's values as text, with the line that they stand in.

use toml::de::{DeTable, DeValue};

use super::Mistake;
use super::setting::{SETTINGS, Setting, suggestion};

/// One key of the file.
#[derive(Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its line, from 1.
    pub line: usize,
    /// Its values, one unless it is a list.
    pub values: Vec<String>,
}

/// Reads the file's text. `path` is for the mistakes' sake.
pub fn parse(path: &str, text: &str) -> Result<Vec<Entry>, Mistake> {
    let line_of = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        // The parser's message can quote the file, whose values are nobody's business.
        Mistake::at(format!("{path}:{line}"), "not valid TOML (write key = \"value\")")
    })?;
    let mut entries = Vec::new();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let name = key.get_ref().to_string();
        let place = format!("{path}:{line}: {name}");
        let known = SETTINGS.iter().find(|setting| setting.key == name && setting.in_file());
        let Some(setting) = known else {
            let keys = SETTINGS.iter().filter(|s| s.in_file()).map(|s| s.key.to_owned());
            return Err(Mistake::at(place, format!("no such setting{}", suggestion(&name, keys))));
        };
        let values = values(value.get_ref(), setting).map_err(|wrong| Mistake::at(place, wrong))?;
        entries.push(Entry { key: name, line, values });
    }
    Ok(entries)
}

/// The texts of a value: of one, or of a list where the setting may be repeated.
fn values(value: &DeValue, setting: &Setting) -> Result<Vec<String>, &'static str> {
    match value {
        DeValue::Array(list) if setting.repeatable => {
            list.iter().map(|item| single(item.get_ref())).collect()
        }
        _ => Ok(vec![single(value)?]),
    }
}

fn single(value: &DeValue) -> Result<String, &'static str> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(|number| number.to_string())
            .map_err(|_| "too large a number"),
        DeValue::Boolean(on) => Ok(on.to_string()),
        _ => Err("neither text, a whole number, nor true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        parse("f", text).unwrap_err().to_string()
    }

    #[test]
    fn values_come_with_their_lines() {
        let entries = parse("f", "# first\ngrace = \"10s\"\n\nrewrite = [\"TERM:QUIT\", \"HUP:0\"]\napp_live = true\napp_port = 80\n").unwrap();
        let mut found: Vec<_> =
            entries.iter().map(|e| (e.line, e.key.as_str(), e.values.join(" "))).collect();
        found.sort();
        let expected = [
            (2, "grace", "10s"),
            (4, "rewrite", "TERM:QUIT HUP:0"),
            (5, "app_live", "true"),
            (6, "app_port", "80"),
        ];
        assert_eq!(found, expected.map(|(line, key, values)| (line, key, values.to_owned())));
    }

    #[test]
    fn a_mistake_names_the_line_and_never_the_value() {
        assert_eq!(
            mistake("\ngrcae = \"s3cret\"\n"),
            "f:2: grcae: no such setting; did you mean grace?"
        );
        assert_eq!(
            mistake("grace = [\"s3cret\"]\n"),
            "f:1: grace: neither text, a whole number, nor true or false"
        );
        assert!(mistake("a = 1\ngrace = s3cret\n").starts_with("f:"));
        assert!(!mistake("grace = \"s3cret\n").contains("s3cret"));
        assert!(mistake("config = \"x\"").contains("no such setting"));
    }
}
