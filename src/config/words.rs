//! A command line in one text, split into words as a POSIX shell does it, with nothing expanded (POSIX, "Shell Command
//! Language", 2.2 Quoting and 2.3 Token Recognition).

use std::str::Chars;

use super::value::Wrong;

/// What to do about a text that means something to a shell alone.
const FOR_A_SHELL: &str = "a shell's character outside of quotes, one of | & ; < > ( ) $ ` * ? # ~ or a line break, and \
    no shell reads it (write sh -c '...', or quote it)";

/// The words, of which there is at least one.
pub(super) fn split(text: &str) -> Result<Vec<String>, Wrong> {
    if is_assignment(text) {
        return Err(
            "begins with an assignment, and no shell reads it (write sh -c '...')".to_owned()
        );
    }
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut chars = text.trim_start_matches([' ', '\t', '\n']).chars();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' => words.extend(word.take()),
            '\n' if chars.as_str().trim().is_empty() => break,
            '#' | '~' if word.is_none() => return Err(FOR_A_SHELL.to_owned()),
            '\n' | '|' | '&' | ';' | '<' | '>' | '(' | ')' | '$' | '`' | '*' | '?' => {
                return Err(FOR_A_SHELL.to_owned());
            }
            '\'' => in_single_quotes(&mut chars, word.get_or_insert_default())?,
            '"' => in_double_quotes(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => return Err("ends with a backslash".to_owned()),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    fit(words)
}

/// Words that a program can be started with.
pub(super) fn fit(words: Vec<String>) -> Result<Vec<String>, Wrong> {
    match words.first() {
        None => Err("no command".to_owned()),
        Some(program) if program.is_empty() => Err("a command without a name".to_owned()),
        Some(_) if words.iter().any(|word| word.contains('\0')) => Err("a NUL in it".to_owned()),
        Some(_) => Ok(words),
    }
}

/// Whether a shell would set a variable for the command: `NAME=value command`.
fn is_assignment(text: &str) -> bool {
    text.trim_start().split_once('=').is_some_and(|(name, _)| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

fn in_single_quotes(chars: &mut Chars<'_>, word: &mut String) -> Result<(), Wrong> {
    let (inside, rest) = chars.as_str().split_once('\'').ok_or("a ' without its end")?;
    word.push_str(inside);
    *chars = rest.chars();
    Ok(())
}

/// A backslash quotes what would mean something, and is itself before anything else.
fn in_double_quotes(chars: &mut Chars<'_>, word: &mut String) -> Result<(), Wrong> {
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok(()),
            '$' | '`' => return Err(FOR_A_SHELL.to_owned()),
            '\\' => match chars.next() {
                Some(c @ ('$' | '`' | '"' | '\\')) => word.push(c),
                Some('\n') => {}
                Some(c) => word.extend(['\\', c]),
                None => break,
            },
            c => word.push(c),
        }
    }
    Err("a \" without its end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (text, expected) in [
            ("npx prisma migrate deploy", &["npx", "prisma", "migrate", "deploy"][..]),
            ("  a\t b  ", &["a", "b"]),
            ("sh -c 'a && b | c > $d; e*'", &["sh", "-c", "a && b | c > $d; e*"]),
            (r#"a "b c" d"e f"g 'h'"i""#, &["a", "b c", "de fg", "hi"]),
            (r#"a "\"\\\$\`\n" '\n'"#, &["a", r#""\$`\n"#, r"\n"]),
            (r#"a\ b \'c\" \|\*"#, &["a b", "'c\"", "|*"]),
            ("a '' \"\" b", &["a", "", "", "b"]),
            ("a \\\n  b\n \n", &["a", "b"]),
            ("a \"b\\\nc\"", &["a", "bc"]),
            ("a x=1 b#c d~ -~", &["a", "x=1", "b#c", "d~", "-~"]),
            ("\u{e4}\u{2003}b 'x=y'", &["\u{e4}\u{2003}b", "x=y"]),
            ("a\\ ", &["a "]),
        ] {
            assert_eq!(split(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_only_a_shell_understands_is_a_mistake_that_says_so() {
        for c in ["|", "&", ";", "<", ">", "(", ")", "$", "`", "*", "?", "\n"] {
            for text in [format!("a s3cret{c}b"), format!("a s3cret {c} b")] {
                let wrong = split(&text).unwrap_err();
                assert!(wrong.contains("sh -c") && !wrong.contains("s3cret"), "{text}: {wrong}");
            }
        }
        for text in ["a \"$b\"", "a \"`b`\"", "a # b", "~/a", "a ~/b", "X=1 a", "_x1=", "#a"] {
            assert!(split(text).unwrap_err().contains("sh -c"), "{text}");
        }
        assert_eq!(split("1=2").unwrap(), ["1=2"]);
    }

    #[test]
    fn what_has_no_end_or_no_name_is_a_mistake() {
        for text in ["", " ", "\n", "''", "'' a", "'a", "a \"b", "a \"b\\", "a\\", "a \0"] {
            assert!(split(text).is_err(), "{text:?}");
        }
    }
}
