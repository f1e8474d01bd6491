//! The files that `DVCLive` writes, so that `dvc metrics`, `dvc plots` and `dvc exp` show a run.
//!
//! | file in `RUN/dvclive` | what |
//! |---|---|
//! | `metrics.json` | the latest value of each figure, nested by the `/` of its name, and `step` |
//! | `params.yaml` | the recipe's keys |
//! | `plots/metrics/GROUP/NAME.tsv` | `step`, `NAME`: one row a record |
//! | `dvc.yaml` | tells DVC of the three above |

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value};

use super::{End, Metric, RunFacts, TrackError, Tracker, yaml};

/// Tells DVC what lies beside it; word for word what `DVCLive` writes.
const DVC_YAML: &str =
    "params:\n- params.yaml\nmetrics:\n- metrics.json\nplots:\n- plots/metrics:\n    x: step\n";

/// Writes `DVCLive`'s files into a run's directory.
#[derive(Debug)]
pub struct DvcLive {
    directory: PathBuf,
    summary: Map<String, Value>,
    tables: BTreeMap<&'static str, File>,
}

impl DvcLive {
    /// The tracker of the run in `run`.
    pub fn new(run: &Path) -> Self {
        Self { directory: run.join("dvclive"), summary: Map::new(), tables: BTreeMap::new() }
    }

    fn plots(&self) -> PathBuf {
        self.directory.join("plots/metrics")
    }

    /// Removes what an earlier run has left.
    fn clear(&self) -> Result<(), TrackError> {
        let gone = |path: &Path, removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(TrackError::file(path, "remove")(error))
            }
            _ => Ok(()),
        };
        let plots = self.plots();
        gone(&plots, std::fs::remove_dir_all(&plots))?;
        let metrics = self.directory.join("metrics.json");
        gone(&metrics, std::fs::remove_file(&metrics))
    }

    /// Takes the summary up again, and cuts every table after `step`: those rows come again.
    fn go_on(&mut self, step: u64) -> Result<(), TrackError> {
        let path = self.directory.join("metrics.json");
        if let Some(text) = read(&path)? {
            self.summary = serde_json::from_str(&text)
                .map_err(|error| TrackError::Malformed { path: path.clone(), what: error.to_string() })?;
        }
        let plots = self.plots();
        if plots.is_dir() { cut_tables(&plots, step) } else { Ok(()) }
    }

    fn append(&mut self, name: &'static str, step: u64, value: f64) -> Result<(), TrackError> {
        let path = self.plots().join(format!("{name}.tsv"));
        let table = match self.tables.entry(name) {
            std::collections::btree_map::Entry::Occupied(table) => table.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => place.insert(open_table(&path, name)?),
        };
        table
            .write_all(format!("{step}\t{}\n", number(value)).as_bytes())
            .map_err(TrackError::file(&path, "write"))?;
        set(&mut self.summary, name, '/', json_number(value));
        Ok(())
    }

    fn write_summary(&self) -> Result<(), TrackError> {
        let mut json = Vec::new();
        let mut serializer = Serializer::with_formatter(&mut json, PrettyFormatter::with_indent(b"    "));
        let path = self.directory.join("metrics.json");
        let malformed =
            |error: serde_json::Error| TrackError::Malformed { path: path.clone(), what: error.to_string() };
        self.summary.serialize(&mut serializer).map_err(malformed)?;
        json.push(b'\n');
        replace(&path, &json)
    }
}

impl Tracker for DvcLive {
    fn name(&self) -> &'static str {
        "DVCLive's files"
    }

    fn start(&mut self, facts: &RunFacts) -> Result<(), TrackError> {
        std::fs::create_dir_all(&self.directory).map_err(TrackError::file(&self.directory, "create"))?;
        match facts.resumed_at {
            Some(step) => self.go_on(step)?,
            None => self.clear()?,
        }
        replace(&self.directory.join("params.yaml"), yaml::block(&nested(&facts.parameters)).as_bytes())?;
        replace(&self.directory.join("dvc.yaml"), DVC_YAML.as_bytes())?;
        std::fs::create_dir_all(self.plots()).map_err(TrackError::file(&self.plots(), "create"))?;
        self.write_summary()
    }

    fn metrics(&mut self, step: u64, metrics: &[Metric]) -> Result<(), TrackError> {
        self.summary.insert("step".to_owned(), step.into());
        for (name, value) in metrics {
            self.append(name, step, *value)?;
        }
        self.write_summary()
    }

    fn finish(&mut self, end: End<'_>) -> Result<(), TrackError> {
        if let End::Finished { summary, .. } = end {
            for (name, value) in summary {
                set(&mut self.summary, name, '/', json_number(*value));
            }
            self.write_summary()?;
        }
        Ok(())
    }
}

/// Opens a table for appending; a new one gets its header.
fn open_table(path: &Path, name: &str) -> Result<File, TrackError> {
    let open = || {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() == 0 {
            let column = name.rsplit('/').next().unwrap_or(name);
            file.write_all(format!("step\t{column}\n").as_bytes())?;
        }
        Ok(file)
    };
    open().map_err(TrackError::file(path, "write"))
}

/// Cuts the rows after `step`, and rows that were not written to their end, from every table below `directory`.
fn cut_tables(directory: &Path, step: u64) -> Result<(), TrackError> {
    let entries = std::fs::read_dir(directory).map_err(TrackError::file(directory, "read"))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            cut_tables(&path, step)?;
        } else if path.extension().is_some_and(|extension| extension == "tsv") {
            let text = read(&path)?.unwrap_or_default();
            let kept = |line: &&str| {
                line.ends_with('\n')
                    && line.split('\t').next().is_some_and(|first| {
                        first == "step" || first.parse::<u64>().is_ok_and(|row| row <= step)
                    })
            };
            replace(&path, text.split_inclusive('\n').filter(kept).collect::<String>().as_bytes())?;
        }
    }
    Ok(())
}

/// A file's text; none where there is no file.
fn read(path: &Path) -> Result<Option<String>, TrackError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TrackError::file(path, "read")(error)),
    }
}

/// Replaces a file whole, without waiting for the disk: it is written again at the next record.
fn replace(path: &Path, content: &[u8]) -> Result<(), TrackError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.tmp"));
    std::fs::write(&temporary, content)
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(TrackError::file(path, "write"))
}

/// Puts a value under a name whose groups, split by `separator`, are nested mappings.
fn set(entries: &mut Map<String, Value>, name: &str, separator: char, value: Value) {
    let Some((group, rest)) = name.split_once(separator) else {
        entries.insert(name.to_owned(), value);
        return;
    };
    let inner = entries.entry(group.to_owned()).or_insert(Value::Null);
    if !inner.is_object() {
        *inner = Value::Object(Map::new());
    }
    if let Value::Object(inner) = inner {
        set(inner, rest, separator, value);
    }
}

/// Parameters, nested at the dots of their names; those without one are the run's own.
fn nested(parameters: &BTreeMap<String, Value>) -> Map<String, Value> {
    let mut tables = Map::new();
    for (key, value) in parameters {
        let key = if key.contains('.') { key.clone() } else { format!("run.{key}") };
        set(&mut tables, &key, '.', value.clone());
    }
    tables
}

/// Counts are written as integers.
fn json_number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 { Value::from(value as i64) } else { Value::from(value) }
}

fn number(value: f64) -> String {
    json_number(value).to_string()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn facts(directory: &Path) -> RunFacts {
        RunFacts {
            name: "run".to_owned(),
            family: "tagger".to_owned(),
            directory: directory.to_owned(),
            recipe: "[train]\nsteps = 8\n".to_owned(),
            parameters: BTreeMap::from([
                ("train.steps".to_owned(), json!(8)),
                ("corrupt.deletion.rate".to_owned(), json!(0.01)),
                ("family".to_owned(), json!("tagger")),
            ]),
            datasets: Vec::new(),
            resumed_at: None,
            goes_on: false,
        }
    }

    #[test]
    fn rows_after_the_resumed_step_and_torn_rows_are_cut() {
        let home = tempfile::tempdir().unwrap();
        let mut facts = facts(home.path());
        let mut first = DvcLive::new(home.path());
        first.start(&facts).unwrap();
        for step in 1..=6 {
            first
                .metrics(step, &[("train/loss", 1.0 / step as f64), ("train/tokens", 100.0 * step as f64)])
                .unwrap();
        }
        let path = home.path().join("dvclive/plots/metrics/train/loss.tsv");
        let torn = format!("{}7\t0.1", std::fs::read_to_string(&path).unwrap());
        std::fs::write(&path, torn).unwrap();

        facts.resumed_at = Some(4);
        let mut second = DvcLive::new(home.path());
        second.start(&facts).unwrap();
        second.metrics(5, &[("train/loss", 0.2), ("valid/cer", 0.05)]).unwrap();
        second
            .finish(End::Finished { step: 5, summary: &[("final/valid_cer", 0.04)], checkpoint: home.path() })
            .unwrap();

        let read = |name: &str| std::fs::read_to_string(home.path().join("dvclive").join(name)).unwrap();
        assert_eq!(
            read("plots/metrics/train/loss.tsv"),
            "step\tloss\n1\t1\n2\t0.5\n3\t0.3333333333333333\n4\t0.25\n5\t0.2\n"
        );
        assert_eq!(read("plots/metrics/train/tokens.tsv").lines().last(), Some("4\t400"));
        let summary: Value = serde_json::from_str(&read("metrics.json")).unwrap();
        let expected = json!({
            "step": 5, "train": {"loss": 0.2, "tokens": 600}, "valid": {"cer": 0.05}, "final": {"valid_cer": 0.04}
        });
        assert_eq!(summary, expected);
        assert_eq!(
            read("params.yaml"),
            "corrupt:\n  deletion:\n    rate: 0.01\nrun:\n  family: \"tagger\"\ntrain:\n  steps: 8\n"
        );

        facts.resumed_at = None;
        DvcLive::new(home.path()).start(&facts).unwrap();
        assert!(!path.exists());
        assert_eq!(read("metrics.json"), "{}\n");
    }
}
