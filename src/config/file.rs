//! The TOML file: each key's values as text, with the line that they stand in.

use toml::de::{DeArray, DeTable, DeValue};

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

/// One `[check.<name>]` or `[hook.<name>]`.
#[derive(Debug)]
pub struct Table {
    /// The name.
    pub name: String,
    /// The file, its line and its key.
    pub place: String,
    /// What it holds.
    pub keys: Vec<Key>,
}

/// One key of a check's table.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: String,
    /// Its value as text; of a list, the items together.
    pub value: String,
    /// The items of a list.
    pub items: Option<Vec<String>>,
    /// The file, its line and its key.
    pub place: String,
}

/// What the file says.
#[derive(Debug, Default)]
pub struct File {
    /// The settings.
    pub entries: Vec<Entry>,
    /// The tables of `[check]`, in the order of the file.
    pub checks: Vec<Table>,
    /// The tables of `[hook]`, likewise.
    pub hooks: Vec<Table>,
}

/// Understands the file's text. `path` is for the mistakes' sake.
pub fn parse(path: &str, text: &str) -> Result<File, Mistake> {
    let line_of = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(span.start));
        // The parser's message can quote the file, whose values are nobody's business.
        Mistake::at(format!("{path}:{line}"), "not valid TOML (write key = \"value\")")
    })?;
    let mut file = File::default();
    for (key, value) in table.get_ref() {
        let line = line_of(key.span().start);
        let name = key.get_ref().to_string();
        let place = format!("{path}:{line}: {name}");
        let tables = match name.as_str() {
            "check" => Some(&mut file.checks),
            "hook" => Some(&mut file.hooks),
            _ => None,
        };
        if let Some(tables) = tables {
            let place = |at: usize, name: &str| format!("{path}:{}: {name}", line_of(at));
            *tables = named(&name, value.get_ref(), &place).map_err(|(at, name, wrong)| {
                Mistake::at(place(at.unwrap_or(key.span().start), &name), wrong)
            })?;
            continue;
        }
        let known = SETTINGS.iter().find(|setting| setting.key == name && setting.in_file());
        let Some(setting) = known else {
            let keys = SETTINGS.iter().filter(|s| s.in_file()).map(|s| s.key.to_owned());
            return Err(Mistake::at(place, format!("no such setting{}", suggestion(&name, keys))));
        };
        let values = values(value.get_ref(), setting).map_err(|wrong| Mistake::at(place, wrong))?;
        file.entries.push(Entry { key: name, line, values });
    }
    Ok(file)
}

/// Where in the text a mistake is, if it is known, the name of the key, and what is wrong.
type Misplaced = (Option<usize>, String, &'static str);

/// The tables of `[check]` or `[hook]`, in the order of the file; several of one name are `[[hook.<name>]]`. `place` says
/// where a key of this name at this byte stands.
fn named(
    kind: &str,
    value: &DeValue,
    place: &dyn Fn(usize, &str) -> String,
) -> Result<Vec<Table>, Misplaced> {
    let none = match kind {
        "hook" => "not a table (write [hook.<name>])",
        _ => "not a table (write [check.<name>])",
    };
    let DeValue::Table(all) = value else {
        return Err((None, kind.to_owned(), none));
    };
    let mut tables = Vec::new();
    for (name, value) in all {
        let (at, dotted) = (name.span().start, format!("{kind}.{}", name.get_ref()));
        let several = match value.get_ref() {
            DeValue::Array(list) if kind == "hook" => list.iter().collect(),
            _ => vec![value],
        };
        for value in several {
            let DeValue::Table(table) = value.get_ref() else {
                return Err((Some(at), dotted, none));
            };
            let keys = keys(table, &dotted, place)?;
            // Of several, each stands where it begins; of one, where its name does.
            let at = at.max(value.span().start);
            tables.push((
                at,
                Table { name: name.get_ref().to_string(), place: place(at, &dotted), keys },
            ));
        }
    }
    tables.sort_by_key(|(at, _)| *at);
    Ok(tables.into_iter().map(|(_, table)| table).collect())
}

fn keys(
    table: &DeTable,
    dotted: &str,
    place: &dyn Fn(usize, &str) -> String,
) -> Result<Vec<Key>, Misplaced> {
    let mut keys = Vec::new();
    for (key, value) in table {
        let (at, dotted) = (key.span().start, format!("{dotted}.{}", key.get_ref()));
        let name = key.get_ref().to_string();
        let misplaced = |wrong| (Some(at), dotted.clone(), wrong);
        let items = match value.get_ref() {
            DeValue::Array(list) => Some(items(list).map_err(misplaced)?),
            _ => None,
        };
        // Headers and arguments, which may hold commas, stand in a URL on lines of their own.
        let between = if ["header", "args"].contains(&name.as_str()) { "\n" } else { "," };
        let value = match &items {
            Some(items) => items.join(between),
            None => single(value.get_ref()).map_err(misplaced)?,
        };
        keys.push(Key { name, value, items, place: place(at, &dotted) });
    }
    Ok(keys)
}

/// The texts of a value: of one, or of a list where the setting may be repeated.
fn values(value: &DeValue, setting: &Setting) -> Result<Vec<String>, &'static str> {
    match value {
        DeValue::Array(list) if setting.repeatable => items(list),
        _ => Ok(vec![single(value)?]),
    }
}

fn items(list: &DeArray) -> Result<Vec<String>, &'static str> {
    list.iter().map(|item| single(item.get_ref())).collect()
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
        let entries = parse("f", "# first\ngrace = \"10s\"\n\nrewrite = [\"TERM:QUIT\", \"HUP:0\"]\napp_live = true\napp_port = 80\n").unwrap().entries;
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
    fn checks_are_tables_with_the_lines_of_their_keys() {
        let text = "[check.b]\nurl = \"tcp://b:1\"\ninterval = 5\n\n[check.a]\ngroup = [\"ready\", \"live\"]\n";
        let tables = parse("f", text).unwrap().checks;
        let keys = |table: &Table| -> Vec<(String, String, String)> {
            let mut keys: Vec<_> = table.keys.iter().collect();
            keys.sort_by_key(|key| key.place.clone());
            keys.iter().map(|k| (k.name.clone(), k.value.clone(), k.place.clone())).collect()
        };
        let key = |name: &str, value: &str, place: &str| (name.into(), value.into(), place.into());
        assert_eq!((&*tables[0].name, &*tables[0].place), ("b", "f:1: check.b"));
        assert_eq!(
            keys(&tables[0]),
            [
                key("url", "tcp://b:1", "f:2: check.b.url"),
                key("interval", "5", "f:3: check.b.interval")
            ]
        );
        assert_eq!(keys(&tables[1]), [key("group", "ready,live", "f:6: check.a.group")]);
        assert_eq!(mistake("check = 1\n"), "f:1: check: not a table (write [check.<name>])");
        assert_eq!(
            mistake("\n[check]\na = 1\n"),
            "f:3: check.a: not a table (write [check.<name>])"
        );
        assert!(mistake("[check.a]\nx = 1.5\n").starts_with("f:2: check.a.x: neither text"));
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
