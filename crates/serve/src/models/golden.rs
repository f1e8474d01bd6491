//! Texts that a model has to restore as they are known to be restored, before it is served.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use restorer::{RestoreRequest, Restorer};
use serde::Deserialize;

/// A text and its restoration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Prompt {
    text: String,
    restored: String,
}

/// Texts with their restorations, and how many of them have to come out so.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    path: PathBuf,
    prompts: Arc<[Prompt]>,
    share: f64,
}

/// Why golden texts cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file was not read.
    #[error("cannot read the golden texts in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// A line is not one.
    #[error("{}, line {line}: {message}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        message: String,
    },
    /// There are none.
    #[error("{} holds no golden texts", .0.display())]
    Empty(PathBuf),
}

/// A model fails its check.
#[derive(Debug, thiserror::Error)]
#[error(
    "of the {texts} golden texts of {} it restores {right} as it should, and {needed} are needed; the first that it does not is {text:?}: it makes {made:?} of it, not {wanted:?}",
    path.display()
)]
pub struct NotGolden {
    path: PathBuf,
    texts: usize,
    right: usize,
    needed: usize,
    text: String,
    made: String,
    wanted: String,
}

impl Golden {
    /// Reads lines of JSON, each with `text` and `restored`; `share` of them in [0, 1] have to come out so.
    ///
    /// # Errors
    ///
    /// [`GoldenError`], where the file cannot be read, a line is not one, or there is none.
    pub fn load(path: &Path, share: f64) -> Result<Self, GoldenError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| GoldenError::Read { path: path.to_path_buf(), source })?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let prompt = |(at, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|error| GoldenError::Line {
                path: path.to_path_buf(),
                line: at + 1,
                message: error.to_string(),
            })
        };
        let prompts: Arc<[Prompt]> = lines.map(prompt).collect::<Result<_, _>>()?;
        if prompts.is_empty() {
            return Err(GoldenError::Empty(path.to_path_buf()));
        }
        Ok(Self { path: path.to_path_buf(), prompts, share })
    }

    /// Lets `model` restore them.
    ///
    /// # Errors
    ///
    /// [`NotGolden`], where too few come out as they should.
    pub fn check(&self, model: &dyn Restorer) -> Result<(), NotGolden> {
        let requests: Vec<_> = self.prompts.iter().map(|prompt| RestoreRequest::new(&prompt.text)).collect();
        let made = model.restore_each(&requests).into_iter();
        let made = made.map(|made| made.map_or_else(|error| format!("({error})"), |made| made.text));
        let wrong: Vec<_> =
            self.prompts.iter().zip(made).filter(|(prompt, made)| prompt.restored != *made).collect();
        let texts = self.prompts.len();
        let (right, needed) = (texts - wrong.len(), (self.share * texts as f64).ceil() as usize);
        match wrong.into_iter().next() {
            Some((Prompt { text, restored }, made)) if right < needed => Err(NotGolden {
                path: self.path.clone(),
                texts,
                right,
                needed,
                text: text.clone(),
                made,
                wanted: restored.clone(),
            }),
            _ => Ok(()),
        }
    }
}
