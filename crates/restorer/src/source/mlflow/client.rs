//! One request to an `MLflow` server.

use std::env;
use std::time::Duration;

use reqwest::Url;
use reqwest::blocking::{RequestBuilder, Response};
use serde_json::Value;

use crate::source::error::SourceError;
use crate::source::retry::with_retries;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
enum Credentials {
    Login { user: String, password: String },
    Token(String),
}

impl Credentials {
    /// Those of the environment; as `MLflow`'s own client has it, a login with its password goes before a token.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        match (variable("MLFLOW_TRACKING_USERNAME"), variable("MLFLOW_TRACKING_PASSWORD")) {
            (Some(user), Some(password)) => Some(Self::Login { user, password }),
            _ => variable("MLFLOW_TRACKING_TOKEN").map(Self::Token),
        }
    }
}

/// Speaks to one server.
pub(super) struct Client {
    http: reqwest::blocking::Client,
    base: Url,
    shown: String,
    credentials: Option<Credentials>,
}

impl Client {
    /// A client for the server and with the credentials of the environment.
    pub(super) fn from_env() -> Result<Self, SourceError> {
        let variable = |name: &str| env::var(name).ok();
        let uri = variable("MLFLOW_TRACKING_URI").filter(|uri| !uri.is_empty());
        Self::new(&uri.ok_or(SourceError::NoServer)?, Credentials::of(variable))
    }

    fn new(uri: &str, credentials: Option<Credentials>) -> Result<Self, SourceError> {
        let (base, shown) = address(uri)?;
        let http = reqwest::blocking::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(READ_TIMEOUT)
            .user_agent(concat!("revertant/", env!("CARGO_PKG_VERSION")))
            .build();
        let http = http.map_err(|error| unreachable(&shown, error))?;
        Ok(Self { http, base, shown, credentials })
    }

    /// The server's address without credentials.
    pub(super) fn server(&self) -> &str {
        &self.shown
    }

    /// The answer to `GET` of an endpoint of the API, like `runs/get`; tried again where nobody answers.
    pub(super) fn ask(&self, endpoint: &str, query: &[(&str, &str)]) -> Result<Value, SourceError> {
        self.json(&format!("api/2.0/mlflow/{endpoint}"), query, endpoint)
    }

    /// What the server lists in a folder of its store of artifacts.
    pub(super) fn list(&self, place: &str) -> Result<Value, SourceError> {
        self.json("api/2.0/mlflow-artifacts/artifacts", &[("path", place)], "its list of artifacts")
    }

    /// A file of the store of artifacts, to be read.
    pub(super) fn open(&self, place: &str) -> Result<Response, SourceError> {
        let url = self.url(&format!("api/2.0/mlflow-artifacts/artifacts/{place}"));
        self.send(self.http.get(url), "an artifact")
    }

    fn json(&self, path: &str, query: &[(&str, &str)], request: &str) -> Result<Value, SourceError> {
        let mut url = self.url(path);
        url.query_pairs_mut().extend_pairs(query);
        with_retries(SourceError::may_pass, || {
            let text = self.send(self.http.get(url.clone()), request)?.text();
            let text = text.map_err(|error| unreachable(&self.shown, error))?;
            serde_json::from_str(&text).map_err(|_| SourceError::Refused {
                server: self.shown.clone(),
                request: request.to_owned(),
                status: 200,
                what: format!("and no JSON: {}", reason(&text)),
            })
        })
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

    fn send(&self, request: RequestBuilder, asked: &str) -> Result<Response, SourceError> {
        let request = match &self.credentials {
            Some(Credentials::Login { user, password }) => request.basic_auth(user, Some(password)),
            Some(Credentials::Token(token)) => request.bearer_auth(token),
            None => request,
        };
        let response = request.send().map_err(|error| unreachable(&self.shown, error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let what = reason(&response.text().unwrap_or_default());
        let server = self.shown.clone();
        Err(match status.as_u16() {
            status @ (401 | 403) => SourceError::Credentials { server, status, what },
            code if status.is_server_error() || [408, 425, 429].contains(&code) => {
                SourceError::Unreachable { server, what: format!("{status} {what}") }
            }
            status => SourceError::Refused { server, request: asked.to_owned(), status, what },
        })
    }
}

/// A server's address, and the same without credentials.
fn address(uri: &str) -> Result<(Url, String), SourceError> {
    let hidden = || match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://{host}"),
        _ => uri.to_owned(),
    };
    let error = |what: &str| SourceError::Address { uri: hidden(), what: what.to_owned() };
    let url = Url::parse(uri).map_err(|e| error(&e.to_string()))?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(error("only http:// and https:// are known"));
    }
    let mut shown = url.clone();
    // These fail only for addresses without a host, and HTTP has none of them.
    let _ = (shown.set_username(""), shown.set_password(None));
    shown.set_query(None);
    Ok((url, shown.as_str().trim_end_matches('/').to_owned()))
}

/// What the server says went wrong: `CODE: message`, else the start of its answer.
fn reason(text: &str) -> String {
    let start = |text: &str| text.chars().take(300).collect::<String>();
    let Ok(answer) = serde_json::from_str::<Value>(text) else {
        return start(text.lines().next().unwrap_or_default());
    };
    let part = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    start(&format!("{}: {}", part("error_code"), part("message")))
}

/// The innermost cause, which is the one that tells something, and no address, which may hold a password.
fn unreachable(server: &str, error: reqwest::Error) -> SourceError {
    let error = error.without_url();
    let mut cause: &dyn std::error::Error = &error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    SourceError::Unreachable { server: server.to_owned(), what: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_http_servers_and_shown_without_secrets() {
        assert_eq!(address("http://127.0.0.1:5000/").unwrap().1, "http://127.0.0.1:5000");
        assert_eq!(address("https://user:secret@host/ml?key=secret").unwrap().1, "https://host/ml");
        for wrong in ["sqlite:///x.db", "databricks", "ftp://user:secret@host"] {
            let message = address(wrong).unwrap_err().to_string();
            assert!(message.contains("http://127.0.0.1:5000") && !message.contains("secret"), "{message}");
        }
    }

    #[test]
    fn paths_are_encoded_below_the_servers_own() {
        let url = Client::new("http://host/base/", None).unwrap().url("api/2.0/a b#?/c");
        assert_eq!(url.as_str(), "http://host/base/api/2.0/a%20b%23%3F/c");
    }

    #[test]
    fn a_login_goes_before_a_token_if_it_is_whole() {
        let of = |set: &[(&str, &str)]| {
            Credentials::of(|name| {
                let found = set.iter().find(|(key, _)| name == format!("MLFLOW_TRACKING_{key}"));
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let login = Credentials::Login { user: "me".to_owned(), password: "secret".to_owned() };
        let token = Credentials::Token("t".to_owned());
        assert!(of(&[("USERNAME", "me"), ("PASSWORD", "secret"), ("TOKEN", "t")]) == Some(login));
        assert!(of(&[("USERNAME", "me"), ("PASSWORD", ""), ("TOKEN", "t")]) == Some(token));
        assert!(of(&[("USERNAME", "me")]).is_none());
    }
}
