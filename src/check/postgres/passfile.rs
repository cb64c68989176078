//! libpq's password file: `host:port:database:user:password` a line, where `*` fits anything and `\` quotes.

use std::fs;
use std::path::Path;

use super::super::secret::Secret;

/// The password of the first line that fits these four: host, port, database and user.
pub(super) fn password(path: &Path, wanted: [&str; 4]) -> Option<Secret> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| found(line, wanted))
}

fn found(line: &str, wanted: [&str; 4]) -> Option<Secret> {
    let fields = fields(line);
    let (password, known) = fields.get(4).zip(fields.get(..4))?;
    let fits = known.iter().zip(wanted).all(|(known, wanted)| known == "*" || known == wanted);
    fits.then(|| Secret::new(password))
}

fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.last_mut();
        match (character, last) {
            ('\\', Some(last)) => last.extend(characters.next()),
            (':', _) => fields.push(String::new()),
            (other, Some(last)) => last.push(other),
            (_, None) => {}
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_password_file_counts_when_all_four_fit() {
        let wanted = ["db", "5432", "shop", "app"];
        let word = |line| found(line, wanted).map(|secret| secret.reveal().to_owned());
        assert_eq!(word("db:5432:shop:app:pw").as_deref(), Some("pw"));
        assert_eq!(word(r"*:*:*:app:p\:w\\").as_deref(), Some(r"p:w\"));
        assert_eq!(word("db:5432:other:app:pw"), None);
        assert_eq!(word("db:5432:shop"), None);
    }
}
