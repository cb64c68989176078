//! Secrets, and texts without them: every secret that was read is known here, and no text that could hold one is shown
//! before it went through [`scrub`].

use std::fmt;
use std::sync::{Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Every form of every secret of this process, the longest first, so that none hides a part of another.
static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Secrets with fewer characters hide in the words of any text.
const SHORT: usize = 4;

/// What stands in the place of a secret.
const MASK: &str = "***";

/// A password, a key or a token. It is known to [`scrub`] from its making on.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in, raw; an empty one is nothing to hide.
    pub fn new(text: impl Into<String>) -> Self {
        let secret = Self(text.into());
        remember(&secret.0);
        remember(&utf8_percent_encode(&secret.0, NON_ALPHANUMERIC).to_string());
        // As drivers quote it in what they say, and as JSON would.
        remember(&secret.0.escape_debug().to_string());
        secret
    }

    /// The secret itself, for the server that it is meant for alone.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

/// Whether the value of a query key or an option with this name is a secret.
pub fn is_named_by(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let within =
        ["password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "api_key"];
    name == "pass" || within.iter().any(|word| name.contains(word))
}

/// Adds one form of a secret to what is hidden, for instance the form in which a URL had it.
pub fn remember(form: &str) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if !form.is_empty() && !known.iter().any(|other| other == form) {
        let place = known.partition_point(|other| other.len() >= form.len());
        known.insert(place, form.to_owned());
    }
}

/// Every form of every secret that was read so far.
pub fn known() -> Vec<String> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The text with each secret that this process was given masked. A short one is masked as a word of its own alone: `p`
/// masked within every word would tell what it is.
pub fn scrub(text: &str) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(text.to_owned(), |text, form| match form.chars().count() {
        0..SHORT => without_word(&text, form),
        _ => text.replace(form.as_str(), MASK),
    })
}

fn without_word(text: &str, word: &str) -> String {
    let within = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
    let (mut rest, mut out) = (text, String::new());
    while let Some((before, after)) = rest.split_once(word) {
        out.push_str(before);
        let is_part = within(out.chars().next_back()) || within(after.chars().next());
        out.push_str(if is_part { word } else { MASK });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_secret_is_masked_where_it_is_a_word() {
        assert_eq!(without_word("bad pw \"pw\", pwd, pw", "pw"), "bad *** \"***\", pwd, ***");
        assert_eq!(without_word("spwpw", "pw"), "spwpw");
    }

    #[test]
    fn a_secret_is_masked_in_each_form_that_a_driver_may_give_it() {
        let _secret = Secret::new("h\u{fc}nter/2\"q");
        for form in ["h\u{fc}nter/2\"q", "h%C3%BCnter%2F2%22q", "h\u{fc}nter/2\\\"q"] {
            assert_eq!(scrub(&format!("bad {form}!")), "bad ***!");
        }
    }
}
