//! The secrets that an environment holds, told by the names of its variables and from the URLs among them.

use percent_encoding::percent_decode_str;

/// The secrets among the variables of an environment: the values of those that are named like one, and the passwords in
/// URLs, as they stand there and as they are meant.
pub fn secrets_among<'a>(variables: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<String> {
    let mut secrets = Vec::new();
    for (name, value) in variables {
        // A path to a secret is none.
        if is_secret_by(name) && !value.starts_with('/') {
            secrets.push(value.to_owned());
            // Of a key in PEM each line is printed as a line of its own.
            let of_lines = value.lines().filter(|line| *line != value && !line.contains("-----"));
            secrets.extend(of_lines.map(str::to_owned));
        }
        if let Some(password) = password_in(value) {
            secrets.push(password.to_owned());
            secrets.extend(percent_decode_str(password).decode_utf8().map(Into::into));
        }
    }
    secrets
}

/// Whether one of the words of a variable's name says that its value is a secret.
fn is_secret_by(name: &str) -> bool {
    let words = [
        "PASS",
        "PASSWORD",
        "PASSWD",
        "PASSPHRASE",
        "PWD",
        "SECRET",
        "SECRETS",
        "TOKEN",
        "TOKENS",
        "KEY",
        "KEYS",
        "APIKEY",
        "CREDENTIAL",
        "CREDENTIALS",
    ];
    // The shell's own are directories.
    let is_directory = ["PWD", "OLDPWD"].contains(&name);
    let name = name.to_ascii_uppercase();
    !is_directory
        && name.split(['_', '-', '.']).any(|word| {
            words.contains(&word) || word.ends_with("PASSWORD") || word.ends_with("SECRET")
        })
}

/// The password in a URL, as it stands there.
fn password_in(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    Some(user.split_once(':')?.1)
}
