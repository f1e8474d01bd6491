//! The file of `serve http --config` and `serve stream --config`: their flags by name, and its models.
//!
//! A flag on the command line wins over its environment variable, that over the file, the file over the default.

mod models;

use std::{
    ffi::OsString,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, parser::ValueSource};
use corruptor::nearest_name;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::cli::{self, Cli};

pub use self::models::{BesideEntry, Declared, ModelEntry};

/// The table of models in the file.
const MODELS: &str = "model";
/// Flags that a file cannot set.
const NOT_IN_FILES: [&str; 4] = ["config", "print-config", "help", "version"];

/// Why a file cannot be used. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It was not read.
    #[error("cannot read the configuration in {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
    /// It is not one.
    #[error("{}: {message}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and where.
        message: String,
    },
    /// Models are named in two places.
    #[error("{} has tables [[model]], and {flag} names a model as well; name them in one place", path.display())]
    TwoPlaces {
        /// The file.
        path: PathBuf,
        /// The flag.
        flag: String,
    },
}

/// Reads the command line, with the file that it names; where it is wrong, or help is asked for, the process ends.
///
/// # Errors
///
/// [`ConfigError`], where the file cannot be used.
pub fn command_line(args: impl IntoIterator<Item = OsString>) -> Result<Cli, ConfigError> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let mut models = Vec::new();
    let mut from_file = Vec::new();
    // What is required may stand in the file.
    let first = Cli::command().ignore_errors(true).try_get_matches_from(&args).unwrap_or_default();
    if let Some((name @ ("http" | "stream"), served)) = first.subcommand()
        && let Some(path) = served.get_one::<PathBuf>("config").cloned()
    {
        let file = File::read(&path)?;
        let named =
            |id: &&str| served.value_source(id).is_some_and(|source| source != ValueSource::DefaultValue);
        if let (false, Some(flag)) =
            (file.models.is_empty(), ["model", "also", "model_name"].into_iter().find(named))
        {
            return Err(ConfigError::TwoPlaces { path, flag: format!("--{}", flag.replace('_', "-")) });
        }
        let extra = file.flags(&path, name, served)?;
        from_file = extra.iter().map(|(name, _)| name.clone()).collect();
        args.extend(extra.into_iter().map(|(_, flag)| OsString::from(flag)));
        models = file.models;
    }
    let matches = Cli::command().get_matches_from(&args);
    let mut cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let http = match &mut cli.command {
        cli::Command::Http(http) => Some(http.as_mut()),
        #[cfg(feature = "kafka")]
        cli::Command::Stream(stream) => Some(&mut stream.http),
        _ => None,
    };
    if let Some(http) = http {
        if let (true, Some((name, matches))) = (http.print_config, matches.subcommand()) {
            http.printed = Some(printed(name, matches, &from_file, &models));
        }
        http.models = models;
    }
    Ok(cli)
}

/// What a file holds.
struct File {
    flags: Table,
    models: Vec<ModelEntry>,
}

impl File {
    fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        let wrong = |message: String| ConfigError::Content { path: path.to_path_buf(), message };
        let mut flags: Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let models = flags.remove(MODELS).map_or(Ok(Vec::new()), Vec::deserialize);
        let models = models.map_err(|error| wrong(format!("[[model]]: {error}")))?;
        Ok(Self { flags, models })
    }

    /// The flags that stand nowhere else, by name, as they would be written.
    fn flags(
        &self,
        path: &Path,
        name: &str,
        matches: &ArgMatches,
    ) -> Result<Vec<(String, String)>, ConfigError> {
        let wrong = |message: String| ConfigError::Content { path: path.to_path_buf(), message };
        let command = command_of(name);
        let known: Vec<&str> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|name| !NOT_IN_FILES.contains(name))
            .collect();
        let mut flags = Vec::new();
        for (key, value) in &self.flags {
            let name = key.replace('_', "-");
            let Some(arg) = command
                .get_arguments()
                .find(|arg| arg.get_long() == Some(&name) && known.contains(&name.as_str()))
            else {
                let near = nearest_name(&name, &known);
                let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                return Err(wrong(format!("`{key}` is no flag of serve {}{near}", command.get_name())));
            };
            if matches
                .value_source(arg.get_id().as_str())
                .is_some_and(|source| source != ValueSource::DefaultValue)
            {
                continue;
            }
            let takes_value = arg.get_action().takes_values();
            let values = match value {
                Value::Array(values) => values.as_slice(),
                one => std::slice::from_ref(one),
            };
            for value in values {
                match value {
                    Value::Boolean(false) if !takes_value => {}
                    Value::Boolean(true) if !takes_value => flags.push((name.clone(), format!("--{name}"))),
                    Value::String(text) if takes_value => {
                        flags.push((name.clone(), format!("--{name}={text}")));
                    }
                    Value::Integer(_) | Value::Float(_) if takes_value => {
                        flags.push((name.clone(), format!("--{name}={value}")));
                    }
                    other => {
                        return Err(wrong(format!(
                            "`{key}` cannot be a value of the type {}",
                            other.type_str()
                        )));
                    }
                }
            }
        }
        Ok(flags)
    }
}

/// The command of this name, with the flags of all commands.
fn command_of(name: &str) -> Command {
    let mut command = Cli::command();
    command.build();
    command.find_subcommand(name).cloned().unwrap_or_default()
}

/// Every flag with its value and where it comes from, as a file that would be read again.
fn printed(name: &str, matches: &ArgMatches, from_file: &[String], models: &[ModelEntry]) -> String {
    let mut text = String::new();
    for arg in command_of(name).get_arguments() {
        let Some(name) = arg.get_long().filter(|name| !NOT_IN_FILES.contains(name)) else { continue };
        let id = arg.get_id().as_str();
        let values: Vec<String> = match matches.get_raw(id) {
            Some(values) if arg.get_action().takes_values() => {
                values.map(|value| quoted(&without_secret(name, &value.to_string_lossy()))).collect()
            }
            _ => Vec::new(),
        };
        let source = match matches.value_source(id) {
            _ if from_file.iter().any(|key| key == name) => "file",
            Some(ValueSource::CommandLine) => "command line",
            Some(ValueSource::EnvVariable) => "environment",
            _ => "default",
        };
        // Writing to a string does not fail.
        let _written = match values.as_slice() {
            [] => writeln!(text, "# {name} is not set"),
            [value] => writeln!(text, "{name} = {value} # {source}"),
            values => writeln!(text, "{name} = [{}] # {source}", values.join(", ")),
        };
    }
    if !models.is_empty() {
        // What came from such a table can be written as one.
        let models = toml::to_string(&Models { model: models }).unwrap_or_default();
        let _written = write!(text, "\n{models}");
    }
    text
}

/// A value as it may be shown: properties of clients can be passwords.
fn without_secret(name: &str, value: &str) -> String {
    const SECRET: [&str; 6] = ["password", "secret", "key", "pem", "token", "user.info"];
    match value.split_once('=') {
        Some((property, _)) if name == "property" && SECRET.iter().any(|part| property.contains(part)) => {
            format!("{property}=…")
        }
        _ => value.to_owned(),
    }
}

#[derive(Serialize)]
struct Models<'m> {
    model: &'m [ModelEntry],
}

fn quoted(value: &str) -> String {
    let is_number = value.parse::<i64>().is_ok() || value.parse::<f64>().is_ok_and(f64::is_finite);
    if is_number { value.to_owned() } else { Value::String(value.to_owned()).to_string() }
}
