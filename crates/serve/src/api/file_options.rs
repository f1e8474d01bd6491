//! Options of a file that is sent as a body: they stand in the query.

use std::str::FromStr;

use axum::{extract::Query, http::Uri};
use serde::{Deserialize, Deserializer, de::Error as _};
use utoipa::{IntoParams, ToSchema};

use restorer::{ModelInfo, Priority, RestoreOptions};

use super::{
    decode::DecodeOptions,
    values::{Beams, Method, Probability, Rounds},
};
use crate::{
    batch::{BatchSettings, DEFAULT_COLUMN, ExistingColumns},
    error::{ApiError, Kind},
    http::body::explained,
    models::Models,
};

/// The bytes of a file, as its content type says.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct FileBytes(#[expect(dead_code, reason = "only described")] Vec<u8>);

/// How a file is restored; what is left out is the model's own choice.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileOptions {
    /// Of tables: the column of texts; `corrupted` unless given.
    #[param(required = false)]
    pub(crate) column: Option<String>,
    /// Of tables: replace columns named `restored`, `edits`, `confidence` or `error`.
    #[param(required = false)]
    pub(crate) overwrite_columns: Option<bool>,
    /// Of tables: the model that restores, as `/v1/models` lists it; the server's first unless given.
    #[param(required = false)]
    pub(crate) model: Option<String>,
    /// Of tables: apply only edits at least this probable.
    #[param(value_type = Option<f64>, minimum = 0, maximum = 1, required = false)]
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) min_confidence: Option<Probability>,
    /// Of tables: restore the restored text again, up to this many rounds.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 16, required = false)]
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) max_rounds: Option<Rounds>,
    /// Of tables: how the model decodes; its own way unless given. `/v1/models` says which ways it knows.
    #[param(inline, required = false)]
    pub(crate) decoding: Option<Method>,
    /// Of tables: hypotheses that a search keeps: of `beam` 4 unless given, of `channel` the model's own number.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 256, required = false)]
    #[serde(default, deserialize_with = "parsed")]
    pub(crate) num_beams: Option<Beams>,
}

impl FileOptions {
    /// Reads the query of a request.
    ///
    /// # Errors
    ///
    /// 422 for a key that is not known, or a value that an option does not take.
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let wrong =
            |said: String| ApiError::new(Kind::InvalidRequest, format!("the query is not taken: {said}"));
        Query::try_from_uri(uri).map(|Query(options)| options).map_err(|error| {
            let said =
                std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
            // Without the path, which is the key alone.
            let said = said.find("unknown field `").map_or(said.as_str(), |at| &said[at..]);
            wrong(explained(said))
        })
    }

    /// Which columns are restored.
    pub(crate) fn settings(&self) -> BatchSettings {
        BatchSettings {
            column: self.column.clone().unwrap_or_else(|| DEFAULT_COLUMN.to_owned()),
            existing: ExistingColumns::overwritten(self.overwrite_columns.unwrap_or_default()),
        }
    }

    /// How texts are restored with `model`: after those that somebody waits for.
    ///
    /// # Errors
    ///
    /// Where the model does not decode that way.
    pub(crate) fn options(&self, name: &str, model: &ModelInfo) -> Result<RestoreOptions, ApiError> {
        Ok(RestoreOptions { num_beams: self.decode().settle(name, model)?, ..self.without_model() })
    }

    /// The same with a model that is still loaded, which only a way to decode has to wait for.
    pub(crate) fn options_with(&self, models: &Models) -> Result<RestoreOptions, ApiError> {
        match models.get(self.model.as_deref()) {
            Ok(model) => self.options(model.name(), model.info()),
            Err(error) if error.kind == Kind::UnknownModel || self.decode() != DecodeOptions::default() => {
                Err(error)
            }
            Err(_not_yet) => Ok(self.without_model()),
        }
    }

    fn decode(&self) -> DecodeOptions {
        DecodeOptions::new(self.decoding, self.num_beams)
    }

    fn without_model(&self) -> RestoreOptions {
        RestoreOptions {
            min_confidence: self.min_confidence.map(|probability| probability.0),
            max_rounds: self.max_rounds.map(Rounds::get),
            priority: Priority::Bulk,
            ..RestoreOptions::default()
        }
    }
}

/// A query has texts only.
fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: std::fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Result<FileOptions, ApiError> {
        FileOptions::of(&format!("/v1/jobs?{query}").parse().unwrap())
    }

    #[test]
    fn options_are_read_and_checked_like_those_of_json() {
        let options =
            of("column=a%20b&overwrite_columns=true&min_confidence=0.5&max_rounds=3&model=m&decoding=beam&num_beams=8")
                .unwrap();
        assert_eq!(options.settings().column, "a b");
        assert_eq!(options.settings().existing, ExistingColumns::Overwrite);
        assert_eq!(options.decode(), DecodeOptions::new(Some(Method::Beam), "8".parse().ok()));
        let restore = options.without_model();
        assert_eq!((restore.min_confidence, restore.max_rounds), (Some(0.5), Some(3)));
        assert_eq!(of("").unwrap(), FileOptions::default());
        for (query, words) in [
            ("min_confidence=2", "from 0 to 1"),
            ("max_rounds=x", "from 1 to 16"),
            ("num_beams=257", "from 1 to 256"),
            ("decoding=magic", "unknown variant `magic`"),
            ("colunm=a", "did you mean `column`?"),
            ("overwrite_columns=maybe", "`true` or `false`"),
        ] {
            let error = of(query).unwrap_err();
            assert!(error.detail.contains(words), "{query}: {}", error.detail);
        }
    }
}
