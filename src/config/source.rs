//! Where the URL of a check comes from: texts, some of them in files, and how a URL is made of them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::ReadFile;
use crate::check::options::Options;
use crate::check::url::Url;
use crate::value::Wrong;

/// A text as it was given.
#[derive(Clone)]
pub(super) enum Text {
    /// Itself.
    Given(String),
    /// By the path of the file that holds it.
    File(PathBuf),
    /// By the path of a file that need not be there.
    FileIfThere(PathBuf),
    /// As something that is not UTF-8.
    Broken,
}

impl Text {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Given(text) if text.is_empty())
    }
}

/// Texts by what they were given as, and without the line break that files end with.
pub(super) type Texts = BTreeMap<&'static str, String>;

/// How a URL is made of texts.
type Assemble = fn(&Texts, &mut Options) -> Result<Url, Wrong>;

/// What a URL is made of.
#[derive(Clone)]
pub(super) struct Source {
    texts: BTreeMap<&'static str, Text>,
    assemble: Assemble,
}

/// Under which the one text of a whole URL is kept.
const URL: &str = "url";

impl Source {
    /// A whole URL.
    pub(super) fn url(text: Text) -> Self {
        let texts = BTreeMap::from([(URL, text)]);
        Self::of(texts, |texts, options| Url::parse(found(texts, URL), options))
    }

    /// Texts that make a URL together.
    pub(super) fn of(texts: BTreeMap<&'static str, Text>, assemble: Assemble) -> Self {
        Self { texts, assemble }
    }

    /// The files that it has to be read from.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let file = |text: &Text| match text {
            Text::File(path) | Text::FileIfThere(path) => Some(path.clone()),
            Text::Given(_) | Text::Broken => None,
        };
        self.texts.values().filter_map(file).collect()
    }

    /// The URL as the texts are now; its `stead_*` options go into `options`.
    pub(super) fn read(&self, read: ReadFile, options: &mut Options) -> Result<Url, Wrong> {
        let text = |text: &Text| match text {
            Text::Given(text) => Ok(text.clone()),
            Text::File(path) => read(path)
                .map_err(|error| format!("cannot read the file that it names: {}", error.kind())),
            Text::FileIfThere(path) => Ok(read(path).unwrap_or_default()),
            Text::Broken => Err("not valid UTF-8".to_owned()),
        };
        let texts = self.texts.iter().map(|(name, given)| {
            Ok((*name, text(given)?.trim_end_matches(['\r', '\n']).to_owned()))
        });
        (self.assemble)(&texts.collect::<Result<_, Wrong>>()?, options)
    }
}

/// The text that was given as `name`; empty where none was.
pub(super) fn found<'a>(texts: &'a Texts, name: &str) -> &'a str {
    texts.get(name).map(String::as_str).unwrap_or_default()
}
