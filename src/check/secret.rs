//! Secrets, and texts without them: every secret that was read is known here, and no text that could hold one is shown
//! before it went through [`scrub`].

use std::fmt;
use std::sync::{Mutex, PoisonError};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// Every form of every secret of this process, the longest first, so that none hides a part of another.
static KNOWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

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

/// The text with each secret that this process was given masked.
pub fn scrub(text: &str) -> String {
    let known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.iter().fold(text.to_owned(), |text, form| text.replace(form.as_str(), MASK))
}
