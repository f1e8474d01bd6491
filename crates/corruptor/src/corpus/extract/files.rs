//! From a file to its documents.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;
use std::process::Command;

use flate2::bufread::MultiGzDecoder;

use super::{Extracted, html, rdata, sword, text};
use crate::corpus::fetch::{SourceFile, run_tool};
use crate::corpus::source::Extract;
use crate::documents::{DocumentOptions, Place, Skip, SkipReason};
use crate::io_error::IoError;

const INSTALL_SWORD: &str = "Debian's libsword-utils";

/// Why a file gives no documents.
#[derive(Debug)]
pub(in crate::corpus) enum Failure {
    /// It is passed over and counted.
    Skip(Skip),
    /// Nothing can be collected from such a source.
    Error(IoError),
}

impl From<IoError> for Failure {
    fn from(error: IoError) -> Self {
        Self::Error(error)
    }
}

/// Whether a file's name says that it holds what is extracted; others are passed over, as in directories.
pub(in crate::corpus) fn is_extractable(extract: Extract, path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let extensions: &[&str] = match extract {
        Extract::Html => &["html", "htm", "xhtml"],
        Extract::Text => &["txt"],
        Extract::Sword => return Path::new(&name).extension().is_some_and(|end| end == "conf"),
        Extract::Rdata => {
            return ["rdx", "rda", "rdata", "rds"]
                .iter()
                .any(|end| Path::new(&name).extension().is_some_and(|found| found == *end));
        }
    };
    let inner = name.trim_end_matches(".gz").trim_end_matches(".zst");
    extensions.iter().any(|extension| inner.strip_suffix(extension).is_some_and(|rest| rest.ends_with('.')))
}

/// The documents of one file.
pub(in crate::corpus) fn documents_of(
    extract: Extract,
    file: &SourceFile,
) -> Result<Vec<Extracted>, Failure> {
    match extract {
        Extract::Html => {
            let paragraphs = html::paragraphs(&utf8(file, read(file)?)?);
            Ok(vec![Extracted { part: String::new(), paragraphs }])
        }
        Extract::Text => Ok(text::documents(&utf8(file, read(file)?)?)),
        Extract::Sword => sword_documents(file),
        Extract::Rdata => Ok(rdata::documents(&file.label, &file.path)?),
    }
}

/// A whole file, decompressed; one that would not fit into memory is refused.
fn read(file: &SourceFile) -> Result<Vec<u8>, IoError> {
    let limit_bytes = DocumentOptions::DEFAULT_MAX_RECORD_BYTES;
    let stored = BufReader::new(File::open(&file.path).map_err(IoError::file("read", &file.label))?);
    let extension = file.path.extension().unwrap_or_default().to_ascii_lowercase();
    let compressed = |source| IoError::Decompress { path: file.label.clone(), source };
    let mut stream: Box<dyn Read> = match extension.to_str() {
        Some("gz") => Box::new(MultiGzDecoder::new(stored)),
        Some("zst") => Box::new(zstd::Decoder::with_buffer(stored).map_err(compressed)?),
        _ => Box::new(stored),
    };
    let mut bytes = Vec::new();
    stream.by_ref().take(limit_bytes + 1).read_to_end(&mut bytes).map_err(compressed)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(IoError::TooLarge { place: Box::new(Place::file(&file.label)), limit_bytes });
    }
    Ok(bytes)
}

fn utf8(file: &SourceFile, bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes).map_err(|error| {
        let mut place = Place::file(&file.label);
        place.byte = Some(error.utf8_error().valid_up_to() as u64);
        Failure::Skip(Skip { place, reason: SkipReason::InvalidUtf8 })
    })
}

/// Has `mod2imp` print a module, in a SWORD directory of its own where the driver is the one that fits the module's index.
fn sword_documents(file: &SourceFile) -> Result<Vec<Extracted>, Failure> {
    let malformed = |message: &str| IoError::Malformed {
        place: Box::new(Place::file(&file.label)),
        message: message.to_owned(),
    };
    let conf = utf8(file, read(file)?)?;
    let module = sword::module(&conf).ok_or_else(|| malformed("no name in brackets, DataPath or ModDrv"))?;
    // `…/mods.d/x.conf`: paths count from the folder above.
    let root =
        file.path.parent().and_then(Path::parent).ok_or_else(|| malformed("it lies in no folder mods.d"))?;
    let relative = module.data_path.trim_start_matches("./");
    let is_below =
        Path::new(relative).components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if relative.is_empty() || !is_below {
        return Err(malformed("its DataPath leads out of the SWORD directory").into());
    }
    let directory = tempfile::tempdir().map_err(IoError::file("create", &std::env::temp_dir()))?;
    let index_bytes = copy_module(&root.join(relative), &directory.path().join(relative))?;
    let driver = index_bytes
        .map_or_else(|| module.driver.clone(), |bytes| sword::fitting_driver(&module.driver, bytes));
    let corrected: Vec<String> = conf
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("ModDrv") { format!("ModDrv={driver}") } else { line.to_owned() }
        })
        .collect();
    let mods = directory.path().join("mods.d");
    fs::create_dir_all(&mods).map_err(IoError::file("create", &mods))?;
    let written = mods.join("module.conf");
    fs::write(&written, corrected.join("\n") + "\n").map_err(IoError::file("write", &written))?;
    let mut mod2imp = Command::new("mod2imp");
    mod2imp.arg(&module.name).env("SWORD_PATH", directory.path()).current_dir(directory.path());
    let output = run_tool(&file.label.display().to_string(), &mut mod2imp, INSTALL_SWORD)?;
    let imp = String::from_utf8(output.stdout).map_err(|error| {
        let mut place = Place::file(format!("{}, as mod2imp prints it", file.label.display()));
        place.byte = Some(error.utf8_error().valid_up_to() as u64);
        IoError::Malformed { place: Box::new(place), message: "not UTF-8".to_owned() }
    })?;
    Ok(sword::documents(&imp))
}

/// Copies the files of a module; returns the bytes of its first index of verses, where it has one.
fn copy_module(from: &Path, to: &Path) -> Result<Option<u64>, IoError> {
    // DataPath may end in a file name that all files of the module share.
    let (from, to) = match (from.is_dir(), from.parent(), to.parent()) {
        (false, Some(from), Some(to)) => (from, to),
        _ => (from, to),
    };
    fs::create_dir_all(to).map_err(IoError::file("create", to))?;
    let mut index_bytes = None;
    let mut entries: Vec<_> =
        fs::read_dir(from).map_err(IoError::file("list", from))?.filter_map(Result::ok).collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if path.is_file() {
            let bytes = fs::copy(&path, to.join(entry.file_name())).map_err(IoError::file("copy", &path))?;
            let extension = path.extension().unwrap_or_default().to_string_lossy().into_owned();
            if matches!(extension.as_str(), "bzv" | "czv" | "vzv" | "rzv") && bytes > 0 {
                index_bytes = index_bytes.or(Some(bytes));
            }
        }
    }
    Ok(index_bytes)
}
