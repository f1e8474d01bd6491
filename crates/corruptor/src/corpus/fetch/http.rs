//! A file behind a URL.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::blocking::{Client, Response};

use super::retry::{Failure, with_retries};
use super::{Fetched, SourceFile, has_changed, temporary};
use crate::causes::chain;
use crate::corpus::digest;
use crate::corpus::kinds::HttpSource;
use crate::io_error::IoError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest time for one attempt at a whole file.
const TRANSFER_TIMEOUT: Duration = Duration::from_mins(30);

/// Downloads the file, with bounded retries, and checks its digest.
pub(super) fn fetch(source: &HttpSource, allow_changed: bool) -> Result<Fetched, IoError> {
    let fail = |message: String| IoError::Fetch { package: source.url.clone(), message };
    let directory = temporary()?;
    let path = directory.path().join(file_name(&source.url));
    let client = Client::builder()
        .user_agent(concat!("revertant/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TRANSFER_TIMEOUT)
        .build()
        .map_err(|error| fail(chain(&error)))?;
    with_retries(|| download(&client, &source.url, &path))
        .map_err(|message| fail(format!("{message}; check the URL and the network")))?;
    let sha256 = digest::of_file(&path)?;
    let changed = has_changed(&source.url, &sha256, &source.sha256, allow_changed)?;
    Ok(Fetched {
        package: Some(source.url.clone()),
        version: None,
        sha256: Some(sha256),
        changed,
        files: vec![SourceFile { label: source.url.clone().into(), path }],
        _directory: Some(directory),
    })
}

/// One attempt; a connection that is dropped half way is a failure, as the length is known or the body is chunked.
fn download(client: &Client, url: &str, path: &Path) -> Result<(), Failure> {
    let response = client.get(url).send().map_err(|error| failure(&error))?;
    let status = response.status();
    if !status.is_success() {
        let busy = status.is_server_error()
            || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        let message = format!("the server answers {status}");
        return Err(if busy { Failure::Transient(message) } else { Failure::Permanent(message) });
    }
    copy(response, path)
}

fn copy(mut response: Response, path: &Path) -> Result<(), Failure> {
    let permanent = |error: io::Error| Failure::Permanent(format!("cannot write it: {error}"));
    let mut file = File::create(path).map_err(permanent)?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        // Errors of reading are the network's, errors of writing the disk's.
        match io::Read::read(&mut response, &mut buffer) {
            Ok(0) => return file.flush().map_err(permanent),
            Ok(read) => file.write_all(&buffer[..read]).map_err(permanent)?,
            Err(error) => {
                return Err(Failure::Transient(format!("the transfer broke off: {}", chain(&error))));
            }
        }
    }
}

fn failure(error: &reqwest::Error) -> Failure {
    let message = chain(error);
    if error.is_builder() || error.is_redirect() {
        Failure::Permanent(message)
    } else {
        Failure::Transient(message)
    }
}

/// The last name of the URL's path, as it tells the format of the file.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let name: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn the_name_is_the_last_of_the_path() {
        assert_eq!(file_name("https://example.com/a/b.txt.gz?x=/c#d"), "b.txt.gz");
        assert_eq!(file_name("https://example.com/a%2Fb/.."), "file");
        assert_eq!(file_name("http://example.com/x y"), "x_y");
    }
}
