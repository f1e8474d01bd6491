//! A schema registry: schemas by their ids, and ids of schemas.
//!
//! It speaks the API of Confluent's, which Apicurio and Karapace speak too: <https://docs.confluent.io/platform/current/schema-registry/develop/api.html>.

use std::{
    collections::HashSet,
    error::Error,
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use corruptor::chain;
use schema_registry_converter::{
    async_impl::schema_registry::{
        SrSettings, SrSettingsBuilder, get_referenced_schema, get_schema_by_id, perform_sr_call,
    },
    error::SRCError,
    schema_registry_common::{RawError, RegisteredReference, SchemaType, SrCall},
};
use serde_json::json;

use super::StreamError;

/// What begins the names of its properties.
pub(crate) const PREFIX: &str = "schema.registry.";
/// Time in which it has to answer: nothing is read meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);
/// Schemas that refer to each other, one to the next, at most.
const MAX_REFERENCES: usize = 50;
/// What comes before the status in an error of the client.
const STATUS: &str = "with status ";

/// Where a schema registry is, and how to speak to it.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistrySettings {
    /// Addresses of its instances, which are tried in their order.
    pub urls: Vec<String>,
    /// Properties by name, less the `schema.registry.` before them.
    pub properties: Vec<(String, String)>,
}

impl fmt::Debug for RegistrySettings {
    /// Without the properties, which hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistrySettings").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// A schema as it was registered.
pub(super) struct Registered {
    /// As it is written.
    pub(super) schema: String,
    /// What it refers to, as registered with it.
    pub(super) references: Vec<RegisteredReference>,
    /// All schemas that it refers to, each after those that it refers to itself.
    pub(super) referenced: Vec<String>,
}

/// Why a registry has given no answer that could be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RegistryError<R = String> {
    /// It says no: another attempt would meet the same.
    Refused(R),
    /// It does not know this client.
    Denied(String),
    /// It does not let this client do what was asked.
    Forbidden(String),
    /// It answers, and cannot tell this.
    Unable(String),
    /// It does not answer, or is none.
    Unavailable(String),
}

impl RegistryError {
    /// With what becomes of what was refused.
    pub(super) fn or_refused<R>(self, refused: impl FnOnce(String) -> RegistryError<R>) -> RegistryError<R> {
        match self {
            Self::Refused(reason) => refused(reason),
            Self::Denied(reason) => RegistryError::Denied(reason),
            Self::Forbidden(reason) => RegistryError::Forbidden(reason),
            Self::Unable(reason) => RegistryError::Unable(reason),
            Self::Unavailable(reason) => RegistryError::Unavailable(reason),
        }
    }
}

/// A client of a schema registry, for the values of one topic.
pub(super) struct Registry {
    /// Of each of its instances.
    clients: Vec<SrSettings>,
    /// The instance that has answered last.
    present: AtomicUsize,
    /// Where it is, for messages.
    urls: String,
    /// The name under which the schemas of the topic's values are kept.
    subject: String,
    /// Whether schemas that it does not know are registered.
    registers: bool,
}

impl Registry {
    /// A client for the schemas of values of `topic`.
    pub(super) fn new(settings: &RegistrySettings, topic: &str) -> Result<Self, StreamError> {
        let urls = settings.urls.join(",");
        let unusable = |reason: String| StreamError::Registry { urls: urls.clone(), reason };
        if settings.urls.is_empty() {
            return Err(unusable("no address is given".to_owned()));
        }
        // One each: of several, a client of this library tells only what the last has answered.
        let mut builders: Vec<SrSettingsBuilder> = Vec::new();
        for url in &settings.urls {
            let mut builder = SrSettings::new_builder(url.trim_end_matches('/').to_owned());
            builder.set_timeout(PATIENCE);
            builders.push(builder);
        }
        let mut registers = true;
        for (name, value) in &settings.properties {
            let wrong = |expected| StreamError::RegistryProperty { name: name.clone(), expected };
            match (name.as_str(), value.as_str()) {
                ("basic.auth.user.info", info) => {
                    let (user, password) = info.split_once(':').ok_or_else(|| wrong("USER:PASSWORD"))?;
                    for builder in &mut builders {
                        builder.set_basic_authorization(user, Some(password));
                    }
                }
                ("bearer.auth.token", token) => {
                    for builder in &mut builders {
                        builder.set_token_authorization(token);
                    }
                }
                ("auto.register.schemas", "true" | "false") => registers = value == "true",
                ("auto.register.schemas", _) => return Err(wrong("true or false")),
                _ => return Err(StreamError::NoRegistryProperty(name.clone())),
            }
        }
        let clients = builders.iter_mut().map(SrSettingsBuilder::build).collect::<Result<_, _>>();
        let clients = clients.map_err(|error| unusable(chain(&error)))?;
        Ok(Self { clients, present: AtomicUsize::new(0), urls, subject: format!("{topic}-value"), registers })
    }

    /// Asks the instances in their order, from the one that has answered last on, until one has an answer.
    async fn ask<T>(
        &self,
        call: impl AsyncFn(&SrSettings) -> Result<T, SRCError>,
    ) -> Result<T, RegistryError> {
        let (mut reasons, mut has_answered) = (Vec::new(), true);
        let present = self.present.load(Ordering::Relaxed);
        for (number, client) in self.clients.iter().enumerate().cycle().skip(present).take(self.clients.len())
        {
            match call(client).await.map_err(|error| error_of(&error)) {
                Err(RegistryError::Unavailable(reason)) => {
                    has_answered = false;
                    reasons.push(reason);
                }
                Err(RegistryError::Unable(reason)) => reasons.push(reason),
                answered => {
                    self.present.store(number, Ordering::Relaxed);
                    return answered;
                }
            }
        }
        let reason = reasons.join("; ");
        Err(if has_answered { RegistryError::Unable(reason) } else { RegistryError::Unavailable(reason) })
    }

    /// As [`Self::ask`], for a schema: others may read one that this client may not, which was let in when the stream began.
    async fn read<T>(
        &self,
        call: impl AsyncFn(&SrSettings) -> Result<T, SRCError>,
    ) -> Result<T, RegistryError> {
        self.ask(call).await.map_err(|error| match error {
            RegistryError::Forbidden(reason) => RegistryError::Refused(reason),
            other => other,
        })
    }

    /// Checks that it answers and lets this client in.
    pub(super) async fn check(&self) -> Result<(), StreamError> {
        let latest =
            self.ask(async |client| perform_sr_call(client, SrCall::GetLatest(&self.subject)).await).await;
        match latest {
            Ok(found) if found.schema.is_none() => {
                Err(self.failed("it has answered, but not as a schema registry does".to_owned()))
            }
            // Or nothing is registered yet.
            Ok(_) | Err(RegistryError::Refused(_)) => Ok(()),
            Err(
                RegistryError::Denied(reason)
                | RegistryError::Forbidden(reason)
                | RegistryError::Unable(reason)
                | RegistryError::Unavailable(reason),
            ) => Err(self.failed(reason)),
        }
    }

    /// The stream's error where the registry does not answer.
    pub(super) fn failed(&self, reason: String) -> StreamError {
        StreamError::Registry { urls: self.urls.clone(), reason }
    }

    /// The Avro schema of this id.
    pub(super) async fn schema(&self, id: u32) -> Result<Registered, RegistryError> {
        let found = self.read(async |client| get_schema_by_id(id, client).await).await?;
        if found.schema_type != SchemaType::Avro {
            return Err(RegistryError::Refused(format!(
                "it is of another language: {:?}",
                found.schema_type
            )));
        }
        let mut referenced = Vec::new();
        self.add(&found.references, &mut HashSet::new(), &mut referenced, MAX_REFERENCES).await?;
        Ok(Registered { schema: found.schema, references: found.references, referenced })
    }

    /// Adds the schemas that are referred to, each after those that it refers to itself, and one of each name: of two versions the first,
    /// as Confluent's clients have it.
    async fn add(
        &self,
        references: &[RegisteredReference],
        seen: &mut HashSet<String>,
        into: &mut Vec<String>,
        depth: usize,
    ) -> Result<(), RegistryError> {
        for reference in references {
            let depth = depth.checked_sub(1).ok_or_else(|| {
                RegistryError::Refused(format!("more than {MAX_REFERENCES} schemas refer to each other"))
            })?;
            if seen.insert(reference.name.clone()) {
                let one = self.read(async |client| get_referenced_schema(client, reference).await).await?;
                Box::pin(self.add(&one.references, seen, into, depth)).await?;
                into.push(one.schema);
            }
        }
        Ok(())
    }

    /// The id of a schema of the topic's values, which is registered where it is not known and that is allowed.
    pub(super) async fn id_of(
        &self,
        schema: &str,
        references: &[RegisteredReference],
    ) -> Result<u32, RegistryError> {
        let references: Vec<_> = references
            .iter()
            .map(|one| json!({"name": one.name, "subject": one.subject, "version": one.version}))
            .collect();
        let body = if references.is_empty() {
            json!({ "schema": schema })
        } else {
            json!({ "schema": schema, "references": references })
        };
        let body = body.to_string();
        let call = if self.registers {
            SrCall::PostNew(&self.subject, &body)
        } else {
            SrCall::PostForVersion(&self.subject, &body)
        };
        let of_subject = |error| match error {
            RegistryError::Refused(reason) => {
                RegistryError::Refused(format!("of the subject `{}`: {reason}", self.subject))
            }
            other => other,
        };
        let answer =
            self.ask(async |client| perform_sr_call(client, call).await).await.map_err(of_subject)?;
        answer.id.ok_or_else(|| RegistryError::Unable("it has answered without an id".to_owned()))
    }
}

/// What an error of the client means.
fn error_of(error: &SRCError) -> RegistryError {
    let cause = error.source();
    let Some(told) = cause.and_then(|cause| cause.downcast_ref::<RawError>()) else {
        let causes = cause.map(chain);
        return RegistryError::Unavailable(
            causes.map_or_else(|| error.error.clone(), |causes| format!("{}: {causes}", error.error)),
        );
    };
    // Not every one puts a code into its answer, and what stands before it may answer as well.
    let status = || error.error.split_once(STATUS)?.1.split(' ').next()?.parse().ok();
    let code = if told.error_code == 0 { status().unwrap_or(0) } else { told.error_code };
    match code {
        // Its statuses have two digits more where it tells cases apart. A bare 404 is what any server says that knows no such path;
        // and one that takes nothing for a while is 42205.
        40400..=40499 | 413 | 414 | 409 | 40900..=40999 | 422 | 42200..=42204 | 42206..=42299 => {
            RegistryError::Refused(told.message.clone())
        }
        401 | 40100..=40199 => RegistryError::Denied(format!("{} ({told})", error.error)),
        403 | 40300..=40399 => RegistryError::Forbidden(format!("{} ({told})", error.error)),
        _ => RegistryError::Unable(format!("{} ({told})", error.error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(properties: &[(&str, &str)]) -> Result<Registry, StreamError> {
        let properties =
            properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Registry::new(&RegistrySettings { urls: vec!["http://127.0.0.1:9/".to_owned()], properties }, "out")
    }

    #[test]
    fn properties_are_checked() {
        let found =
            registry(&[("basic.auth.user.info", "ann:a:b"), ("auto.register.schemas", "false")]).unwrap();
        assert_eq!((found.subject.as_str(), found.registers), ("out-value", false));
        assert!(registry(&[("bearer.auth.token", "t")]).unwrap().registers);
        for wrong in
            [("basic.auth.user.info", "secret"), ("auto.register.schemas", "secret"), ("other", "secret")]
        {
            let error = registry(&[wrong]).err().unwrap();
            assert!(error.is_usage() && error.to_string().contains(wrong.0), "{error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let settings = RegistrySettings {
            urls: Vec::new(),
            properties: vec![("bearer.auth.token".to_owned(), "secret".to_owned())],
        };
        assert!(!format!("{settings:?}").contains("secret"));
        assert!(Registry::new(&settings, "out").is_err());
    }

    #[test]
    fn what_would_be_refused_again_is_told_from_what_may_pass() {
        let told = |error_code| {
            let body = serde_json::json!({"error_code": error_code, "message": "m"}).to_string();
            let told: RawError = serde_json::from_str(&body).unwrap();
            error_of(&SRCError::non_retryable_with_cause(told, "status"))
        };
        for code in [40403, 409, 422, 42201] {
            assert_eq!(told(code), RegistryError::Refused("m".to_owned()), "{code}");
        }
        assert!(matches!(told(401), RegistryError::Denied(_)));
        assert!(matches!(told(40301), RegistryError::Forbidden(_)));
        for code in [0, 404, 42205, 429, 500, 50001] {
            assert!(matches!(told(code), RegistryError::Unable(_)), "{code}");
        }
        let bare = |status: &str| {
            let told: RawError = serde_json::from_value(json!({"error_code": 0, "message": "none"})).unwrap();
            let error = format!("HTTP request to schema registry failed with status {status}");
            error_of(&SRCError::non_retryable_with_cause(told, &error))
        };
        assert!(matches!(bare("401 Unauthorized"), RegistryError::Denied(_)));
        assert!(matches!(bare("403 Forbidden"), RegistryError::Forbidden(_)));
        assert!(matches!(bare("413 Payload Too Large"), RegistryError::Refused(_)));
        for other in ["400 Bad Request", "404 Not Found", "502 Bad Gateway"] {
            assert!(matches!(bare(other), RegistryError::Unable(_)), "{other}");
        }
        let gone = SRCError::retryable_with_cause(std::io::Error::other("refused"), "no answer");
        assert_eq!(error_of(&gone), RegistryError::Unavailable("no answer: refused".to_owned()));
        let other = SRCError::non_retryable_without_cause("Could not get raw schema from response");
        assert!(matches!(error_of(&other), RegistryError::Unavailable(_)));
    }
}
