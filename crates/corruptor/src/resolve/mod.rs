//! Resolving a recipe: what depends on a file or on the corpus becomes plain numbers, which then key every pair.

mod calibrate;
mod survey;

pub use calibrate::{CalibrationRecord, calibrate};
pub use survey::Survey;

use std::path::Path;

use crate::alphabet::{AlphabetChoice, KeyboardLayout};
use crate::confusion::{ConfusionChoice, ConfusionRow};
use crate::io_error::IoError;
use crate::law::ChannelLaw;
use crate::recipe::Recipe;
use crate::settings::{CorruptSettings, SettingsError};

/// Reads the files that the settings name: keyboard layouts and confusion tables. Relative paths lie in `directory`.
///
/// # Errors
/// If a file cannot be read or is malformed; the message names it, and the line where there is one.
pub fn read_files(mut settings: CorruptSettings, directory: &Path) -> Result<CorruptSettings, SettingsError> {
    if let AlphabetChoice::Keyboard(name) = &settings.alphabet {
        let layout = KeyboardLayout::load(name, directory);
        let layout = layout.map_err(|error| SettingsError::new("corrupt.alphabet", error.to_string()))?;
        settings.alphabet = layout.alphabet();
    }
    if let Some(ConfusionChoice::File(path)) = &settings.confusions {
        let rows = ConfusionRow::load(&directory.join(path));
        let rows = rows.map_err(|error| SettingsError::new("corrupt.confusions", error.to_string()))?;
        settings.confusions = Some(ConfusionChoice::Rows(rows));
    }
    Ok(settings)
}

/// The channel of a recipe file, as something that decodes it needs it: paths in it are relative to the working directory.
///
/// # Errors
/// If the file is no recipe, or its channel depends on a corpus or is otherwise not fit to be used.
pub fn load_channel(path: &Path) -> Result<CorruptSettings, IoError> {
    let settings = Recipe::load(path)?.table("corrupt")?;
    let settings = read_files(settings, Path::new(""))?;
    ChannelLaw::new(&settings)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_rows_and_missing_ones_are_named() {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("ocr.tsv"), "rn\tm\n").unwrap();
        let settings = CorruptSettings {
            alphabet: AlphabetChoice::Keyboard("qwertz".into()),
            confusions: Some(ConfusionChoice::File("ocr.tsv".into())),
            ..CorruptSettings::default()
        };
        let resolved = read_files(settings.clone(), home.path()).unwrap();
        assert!(resolved.alphabet.is_resolved());
        assert!(matches!(&resolved.confusions, Some(ConfusionChoice::Rows(rows)) if rows.len() == 1));
        crate::Channel::new(&resolved).unwrap();
        let text = toml::to_string(&resolved).unwrap();
        assert_eq!(toml::from_str::<CorruptSettings>(&text).unwrap(), resolved);
        std::fs::write(home.path().join("ocr.tsv"), "rn\tm\nx\n").unwrap();
        let error = read_files(settings.clone(), home.path()).unwrap_err().to_string();
        assert!(error.contains("ocr.tsv, line 2"), "{error}");
        let error = read_files(settings, Path::new("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere/ocr.tsv"), "{error}");
    }
}
