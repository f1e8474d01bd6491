//! The formats of files, by extension and by media type.

use std::path::Path;

/// A format of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Comma-separated values, as RFC 4180 has them, with a header.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// A JSON object a line.
    JsonLines,
}

impl Format {
    /// All extensions that are known, for messages.
    pub const EXTENSIONS: &str = ".parquet, .csv, .tsv, .jsonl or .ndjson";
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Parquet, Self::Csv, Self::Tsv, Self::JsonLines];

    /// The format that the extension of a path or URL names.
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "parquet" => Some(Self::Parquet),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// The format that a media type, without parameters and in lower case, names.
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            "application/vnd.apache.parquet" | "application/parquet" => Some(Self::Parquet),
            "text/csv" => Some(Self::Csv),
            "text/tab-separated-values" => Some(Self::Tsv),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Parquet => "application/vnd.apache.parquet",
            Self::Csv => "text/csv",
            Self::Tsv => "text/tab-separated-values",
            Self::JsonLines => "application/x-ndjson",
        }
    }

    /// Its extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::JsonLines => "jsonl",
        }
    }

    /// What separates cells, where something does.
    pub(super) fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Parquet | Self::JsonLines => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_known_by_its_own_names() {
        for format in Format::ALL {
            assert_eq!(Format::of_media_type(format.media_type()), Some(format));
            let name = format!("s3://bucket/a.b/c.{}", format.extension().to_ascii_uppercase());
            assert_eq!(Format::of_path(Path::new(&name)), Some(format));
            assert!(Format::EXTENSIONS.contains(format.extension()));
        }
        for other in ["a.txt", "parquet", ".csv", "a.csv.gz", ""] {
            assert_eq!(Format::of_path(Path::new(other)), None, "{other}");
        }
    }
}
