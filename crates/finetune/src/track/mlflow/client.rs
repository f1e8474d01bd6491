//! One request to an `MLflow` server.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::Url;
use reqwest::blocking::{Body, RequestBuilder};
use serde_json::Value;

use crate::track::{MlflowOptions, TrackError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take, uploads aside.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// The slowest line on which uploads work.
pub(super) const SLOWEST_BYTES_PER_SECOND: u64 = 256 * 1024;

/// Speaks to one server.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    base: Url,
    shown: String,
    login: Option<(String, String)>,
    token: Option<String>,
}

/// A server's address, and the same without credentials.
pub(super) fn address(uri: &str) -> Result<(Url, String), TrackError> {
    let hidden = || match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => uri.to_owned(),
    };
    let error = |what: &str| TrackError::Address { uri: hidden(), what: what.to_owned() };
    let url = Url::parse(uri).map_err(|e| error(&e.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(error("only http:// and https:// are known"));
    }
    let mut shown = url.clone();
    // These fail only for addresses without a host, and HTTP has none of them.
    let _ = (shown.set_username(""), shown.set_password(None));
    Ok((url, shown.as_str().trim_end_matches('/').to_owned()))
}

impl Client {
    /// A client for the server and with the credentials in `options`.
    ///
    /// # Errors
    /// If the address is none.
    pub(super) fn new(options: &MlflowOptions) -> Result<Self, TrackError> {
        let (base, shown) = address(&options.uri)?;
        let http = reqwest::blocking::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .user_agent(concat!("revertant/", env!("CARGO_PKG_VERSION")))
            .build();
        let http = http.map_err(|error| unreachable(&shown, error))?;
        Ok(Self { http, base, shown, login: options.login.clone(), token: options.token.clone() })
    }

    /// The server's address without credentials.
    pub(super) fn server(&self) -> &str {
        &self.shown
    }

    /// `GET` of an endpoint of the API, like `runs/get`.
    ///
    /// # Errors
    /// [`TrackError::Unreachable`] where it may work later, [`TrackError::Refused`] where not.
    pub(super) fn get(&self, endpoint: &str, query: &[(&str, &str)]) -> Result<Value, TrackError> {
        let mut url = self.url(&format!("api/2.0/mlflow/{endpoint}"));
        url.query_pairs_mut().extend_pairs(query);
        self.send(self.request(Method::GET, url), endpoint)
    }

    /// `POST` to an endpoint of the API.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn post(&self, endpoint: &str, body: &Value) -> Result<Value, TrackError> {
        let url = self.url(&format!("api/2.0/mlflow/{endpoint}"));
        let request = self.request(Method::POST, url).header("content-type", "application/json");
        self.send(request.body(body.to_string()), endpoint)
    }

    /// Puts a file under `place`, a path in the server's store of artifacts.
    ///
    /// # Errors
    /// As [`Self::get`], and if the file cannot be read.
    pub(super) fn put_file(&self, place: &str, path: &Path) -> Result<(), TrackError> {
        let open = || -> std::io::Result<(File, u64)> {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, length) = open().map_err(TrackError::file(path, "read"))?;
        self.put(place, Body::sized(file, length), length)
    }

    /// Puts bytes under `place`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(super) fn put_bytes(&self, place: &str, bytes: Vec<u8>) -> Result<(), TrackError> {
        let length = bytes.len() as u64;
        self.put(place, Body::from(bytes), length)
    }

    fn put(&self, place: &str, body: Body, length: u64) -> Result<(), TrackError> {
        let url = self.url(&format!("api/2.0/mlflow-artifacts/artifacts/{place}"));
        let timeout = REQUEST_TIMEOUT + Duration::from_secs(length / SLOWEST_BYTES_PER_SECOND);
        let request = self.request(Method::PUT, url).timeout(timeout);
        let request = request.header("content-type", "application/octet-stream").body(body);
        self.send(request, "an artifact").map(|_| ())
    }

    /// A path below the server's own, whose segments are percent-encoded where they must be.
    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.split('/'));
        }
        url
    }

    fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let request = self.http.request(method, url);
        match (&self.login, &self.token) {
            (Some((user, password)), _) => request.basic_auth(user, Some(password)),
            (None, Some(token)) => request.bearer_auth(token),
            (None, None) => request,
        }
    }

    fn send(&self, request: RequestBuilder, asked: &str) -> Result<Value, TrackError> {
        let response = request.send().map_err(|error| unreachable(&self.shown, error))?;
        let status = response.status();
        let text = response.text().map_err(|error| unreachable(&self.shown, error))?;
        if status.is_success() {
            // Uploads are answered by nothing, or by an empty object.
            return Ok(serde_json::from_str(&text).unwrap_or_default());
        }
        let what = reason(&text);
        let later = status.is_server_error() || [408, 425, 429].contains(&status.as_u16());
        Err(if later {
            TrackError::Unreachable { server: self.shown.clone(), what: format!("{status} {what}") }
        } else {
            TrackError::Refused {
                server: self.shown.clone(),
                request: asked.to_owned(),
                status: status.as_u16(),
                what,
            }
        })
    }
}

/// What the server says went wrong: `CODE: message`, else the start of its answer.
fn reason(text: &str) -> String {
    let start = |text: &str| text.chars().take(300).collect::<String>();
    let Ok(answer) = serde_json::from_str::<Value>(text) else {
        return start(text.lines().next().unwrap_or(""));
    };
    let part = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    start(&format!("{}: {}", part("error_code"), part("message")))
}

/// The innermost cause, which is the one that tells something, and no address, which may hold a password.
fn unreachable(server: &str, error: reqwest::Error) -> TrackError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    TrackError::Unreachable { server: server.to_owned(), what: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_http_servers_and_shown_without_secrets() {
        assert_eq!(address("http://127.0.0.1:5000/").unwrap().1, "http://127.0.0.1:5000");
        assert_eq!(address("https://user:secret@host/ml").unwrap().1, "https://host/ml");
        for wrong in ["sqlite:///x.db", "databricks", "", "ftp://user:secret@host"] {
            let message = address(wrong).unwrap_err().to_string();
            assert!(message.contains("http://127.0.0.1:5000") && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn paths_are_encoded_below_the_servers_own() {
        let options = MlflowOptions::from_env("http://host/base/".to_owned(), "e".to_owned(), None);
        let url = Client::new(&options).unwrap().url("api/2.0/a b#?/c");
        assert_eq!(url.as_str(), "http://host/base/api/2.0/a%20b%23%3F/c");
    }
}
