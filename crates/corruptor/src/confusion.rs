//! Confusion tables: what a reader of print, human or machine, takes for what.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::grapheme::graphemes;
use crate::random::RecordStream;
use crate::settings::SettingsError;

/// What a recipe says about confusions: the path of a table, or the rows themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ConfusionChoice {
    /// A file of tab-separated rows, relative to the working directory.
    File(PathBuf),
    /// The rows: `[["rn", "m", 5], ["0", "O", 2]]`.
    Rows(Vec<ConfusionRow>),
}

/// `from` is taken for `to`, `weight` times as often as a row of weight 1 that matches at the same place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, String, u32)", into = "(String, String, u32)")]
pub struct ConfusionRow {
    /// What stands in the original: one grapheme or more.
    pub from: String,
    /// What stands in the corrupted text instead; may be empty.
    pub to: String,
    /// Whole number from 1 on.
    pub weight: u32,
}

impl From<(String, String, u32)> for ConfusionRow {
    fn from((from, to, weight): (String, String, u32)) -> Self {
        Self { from, to, weight }
    }
}

impl From<ConfusionRow> for (String, String, u32) {
    fn from(row: ConfusionRow) -> Self {
        (row.from, row.to, row.weight)
    }
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfusionError {
    /// The file cannot be read.
    #[error("cannot read the confusion table {}: {source}; `corrupt.confusions` names it, relative to the working directory", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row is no row.
    #[error("{name}, line {line}: {message}")]
    Row {
        /// File or other name of the table.
        name: String,
        /// Line, counted from 1.
        line: usize,
        /// What is wrong with it, and what it should be.
        message: String,
    },
    /// There is no row.
    #[error("{name} has no row; give at least one, such as: rn<tab>m<tab>5")]
    Empty {
        /// File or other name of the table.
        name: String,
    },
}

impl ConfusionRow {
    /// Reads a table from a file.
    ///
    /// # Errors
    /// If the file cannot be read or a row is bad.
    pub fn load(path: &Path) -> Result<Vec<Self>, ConfusionError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfusionError::Read { path: path.to_path_buf(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Parses a table; `name` stands in error messages.
    ///
    /// A line is `from`, a tab, `to`, a tab, `weight`; without a weight it is 1. Empty lines and lines that begin with `# ` are
    /// passed over. `\t`, `\n`, `\r`, `\\` and `\s` (a space) are escapes.
    ///
    /// # Errors
    /// If a row is malformed or stands twice, or there is none.
    pub fn parse(text: &str, name: &str) -> Result<Vec<Self>, ConfusionError> {
        let mut rows: Vec<Self> = Vec::new();
        let mut seen = HashMap::new();
        for (line, content) in (1..).zip(text.lines()) {
            if content.is_empty() || content == "#" || content.starts_with("# ") {
                continue;
            }
            let fail = |message: String| ConfusionError::Row { name: name.to_owned(), line, message };
            let row = Self::parse_row(content).map_err(fail)?;
            if let Some(first) = seen.insert((row.from.clone(), row.to.clone()), line) {
                return Err(fail(format!(
                    "{:?} to {:?} stands in line {first} too; add up the weights",
                    row.from, row.to
                )));
            }
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(ConfusionError::Empty { name: name.to_owned() });
        }
        Ok(rows)
    }

    fn parse_row(content: &str) -> Result<Self, String> {
        let fields: Vec<&str> = content.split('\t').collect();
        let (from, to, weight) = match fields.as_slice() {
            [from, to] => (from, to, "1"),
            [from, to, weight] => (from, to, *weight),
            _ => {
                let found = fields.len();
                return Err(format!(
                    "{found} fields; a row is what stands there, a tab, what comes there, a tab, its weight"
                ));
            }
        };
        let weight = weight.trim();
        let weight = weight
            .parse()
            .map_err(|_| format!("the weight {weight:?} is no whole number from 1 to {}", u32::MAX))?;
        let row = Self { from: unescaped(from)?, to: unescaped(to)?, weight };
        row.check().map(|()| row)
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self { from, .. } if from.is_empty() => {
                Err("it replaces nothing; give at least one grapheme".to_owned())
            }
            Self { from, to, .. } if from == to => Err(format!("it maps {from:?} to itself; leave it out")),
            Self { weight: 0, .. } => {
                Err("its weight is 0; leave it out, or give a weight from 1 on".to_owned())
            }
            _ => Ok(()),
        }
    }
}

fn unescaped(field: &str) -> Result<String, String> {
    let mut out = String::with_capacity(field.len());
    let mut chars = field.chars();
    while let Some(c) = chars.next() {
        out.push(match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('t')) => '\t',
            ('\\', Some('n')) => '\n',
            ('\\', Some('r')) => '\r',
            ('\\', Some('s')) => ' ',
            ('\\', Some('\\')) => '\\',
            ('\\', other) => {
                let found = other.map(String::from).unwrap_or_default();
                return Err(format!("\\{found} is no escape; known are \\t, \\n, \\r, \\s and \\\\"));
            }
            (c, _) => c,
        });
    }
    Ok(out)
}

/// A confusion table, ready to be looked up.
#[derive(Clone, Debug)]
pub struct Confusions {
    rows: Vec<(Vec<String>, ConfusionRow)>,
    /// First grapheme → indices of rows.
    by_first: HashMap<String, Vec<usize>>,
}

impl Confusions {
    /// Prepares the rows of a recipe.
    ///
    /// # Errors
    /// If there is no row, or one is bad.
    pub fn new(rows: &[ConfusionRow]) -> Result<Self, SettingsError> {
        let fail = |message: String| SettingsError::new("corrupt.confusions", message);
        if rows.is_empty() {
            return Err(fail("the table has no row; leave the key out, or give at least one".to_owned()));
        }
        let mut by_first: HashMap<String, Vec<usize>> = HashMap::new();
        let mut table = Vec::with_capacity(rows.len());
        for (i, row) in rows.iter().enumerate() {
            row.check().map_err(|message| fail(format!("row {}: {message}", i + 1)))?;
            let from: Vec<String> = graphemes(&row.from).map(String::from).collect();
            by_first.entry(from[0].clone()).or_default().push(i);
            table.push((from, row.clone()));
        }
        Ok(Self { rows: table, by_first })
    }

    /// The rows, in their order.
    pub fn rows(&self) -> impl Iterator<Item = &ConfusionRow> {
        self.rows.iter().map(|(_, row)| row)
    }

    /// The rows that match where a text goes on with `rest`, grapheme by grapheme: graphemes consumed, and the row.
    pub fn matching<'s, 'g, I: Iterator<Item = &'g str> + Clone>(
        &'s self,
        mut rest: I,
    ) -> impl Iterator<Item = (usize, &'s ConfusionRow)> + Clone + use<'s, 'g, I> {
        let tail = rest.clone();
        let candidates = rest.next().and_then(|first| self.by_first.get(first));
        candidates.into_iter().flatten().map(|&i| &self.rows[i]).filter_map(move |(from, row)| {
            let mut here = tail.clone();
            from.iter().all(|grapheme| here.next() == Some(grapheme)).then_some((from.len(), row))
        })
    }

    /// Draws among the rows that match, by weight; `None` if there is none.
    pub(crate) fn draw<'s, 'g>(
        &'s self,
        rest: impl Iterator<Item = &'g str> + Clone,
        stream: &mut RecordStream,
    ) -> Option<(usize, &'s str)> {
        let matching = self.matching(rest);
        let total: u64 = matching.clone().map(|(_, row)| u64::from(row.weight)).sum();
        if total == 0 {
            return None;
        }
        let mut ticket = stream.below(total);
        for (consumed, row) in matching {
            match ticket.checked_sub(u64::from(row.weight)) {
                Some(left) => ticket = left,
                None => return Some((consumed, &row.to)),
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        ConfusionRow::parse(text, "ocr.tsv").unwrap_err().to_string()
    }

    #[test]
    fn rows_are_read_with_escapes_and_comments() {
        let rows = ConfusionRow::parse("# OCR\nrn\tm\t5\n\n0\tO\n\\s\t\t2\n#\tH\t1", "t").unwrap();
        let found: Vec<_> = rows.iter().map(|r| (r.from.as_str(), r.to.as_str(), r.weight)).collect();
        assert_eq!(found, [("rn", "m", 5), ("0", "O", 1), (" ", "", 2), ("#", "H", 1)]);
    }

    #[test]
    fn bad_rows_name_file_and_line() {
        assert!(error("rn\tm\t5\nx").starts_with("ocr.tsv, line 2: 1 fields"));
        assert!(error("rn\tm\tmany").contains("\"many\" is no whole number"));
        assert!(error("\tm\t1").contains("replaces nothing"));
        assert!(error("m\tm\t1").contains("to itself"));
        assert!(error("m\tn\t0").contains("weight is 0"));
        assert!(error("m\tn\nm\tn\t3").contains("stands in line 1 too"));
        assert!(error("m\t\\q").contains("\\q is no escape"));
        assert!(error("# nothing\n").contains("no row"));
    }

    #[test]
    fn rows_match_whole_graphemes_and_are_drawn_by_weight() {
        let rows = ConfusionRow::parse("r\tx\t1\nrn\tm\t3\ne\to\t1", "t").unwrap();
        let table = Confusions::new(&rows).unwrap();
        let at = |text: &'static str| {
            table.matching(graphemes(text)).map(|(n, row)| (n, row.to.clone())).collect::<Vec<_>>()
        };
        assert_eq!(at("rna"), [(1, "x".to_owned()), (2, "m".to_owned())]);
        assert_eq!(at("r"), [(1, "x".to_owned())]);
        assert_eq!(at("e\u{301}"), []);
        let mut stream = RecordStream::for_purpose(1, "confusions");
        let ms = (0..4_000).filter(|_| table.draw(graphemes("rn"), &mut stream) == Some((2, "m"))).count();
        assert!(ms.abs_diff(3_000) < 110, "{ms}");
        assert_eq!(table.draw(graphemes("q"), &mut stream), None);
    }
}
