//! libpq's password file: `host:port:database:user:password` a line, where `*` fits anything and `\` quotes.

use std::path::PathBuf;

use super::super::ProbeError;
use super::super::files::read;
use super::super::flight::Flight;
use super::super::secret::Secret;

/// A password file.
#[derive(Debug)]
pub(super) struct Passfile {
    path: PathBuf,
    /// What is in it, where it can be read. Which line counts is for each server to say.
    look: Flight<Option<String>>,
}

impl Passfile {
    pub(super) fn new(path: &str) -> Self {
        Self { path: path.into(), look: Flight::default() }
    }

    /// The password of the first line that fits these four: host, port, database and user.
    pub(super) async fn password(&self, wanted: [&str; 4]) -> Result<Option<Secret>, ProbeError> {
        let path = self.path.clone();
        let text = self.look.answer(move || read(&path).ok()).await?.unwrap_or_default();
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        Ok(lines.find_map(|line| found(line, wanted)))
    }
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
