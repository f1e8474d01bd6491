//! `GET /v1/models` and `GET /info`: what is served.

use std::time::UNIX_EPOCH;

use axum::{
    Json,
    extract::{Path, State},
};
use restorer::Decoding;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    error::{ApiError, Kind},
    http::state::AppState,
    models::{served::Served, track::RollbackError},
};

/// The models, as the OpenAI API lists them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelList {
    /// `list`
    object: &'static str,
    /// The models; requests that name none get the first.
    data: Vec<ModelBody>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelBody {
    /// What requests call it.
    id: String,
    /// `model`
    object: &'static str,
    /// When it was loaded, in seconds since 1970.
    created: u64,
    /// `revertant`
    owned_by: &'static str,
    /// Its family.
    family: String,
    /// Which version of it this is.
    version: String,
    /// BLAKE3 of its configuration and weights.
    digest: String,
    /// How it can decode, its own way first.
    #[schema(value_type = Vec<String>)]
    decodings: Vec<Decoding>,
    /// Number of its weights.
    parameters: usize,
    /// Bytes that it sees at once.
    window_bytes: usize,
    /// Threshold of its edits unless a request says otherwise.
    min_confidence: f32,
    /// Whether confidences of edits were held to held-out pairs.
    calibrated: bool,
    /// The same of confidences of texts.
    text_calibrated: bool,
}

impl From<&Served> for ModelBody {
    fn from(model: &Served) -> Self {
        let info = model.info();
        Self {
            id: model.name().to_owned(),
            object: "model",
            created: model.since().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            owned_by: "revertant",
            family: info.family.clone(),
            version: model.version().to_string(),
            digest: info.digest.clone(),
            decodings: info.decodings.clone(),
            parameters: info.parameters,
            window_bytes: info.window_bytes,
            min_confidence: info.min_confidence,
            calibrated: info.calibrated,
            text_calibrated: info.text_calibrated,
        }
    }
}

/// List the models.
#[utoipa::path(
    get,
    path = "/v1/models",
    tag = "models",
    responses((status = 200, description = "All models", body = ModelList)),
)]
pub(crate) async fn models(State(state): State<AppState>) -> Json<ModelList> {
    let data = state.models().all().map(|model| ModelBody::from(model.as_ref())).collect();
    Json(ModelList { object: "list", data })
}

/// Go back to the version that was served before.
///
/// Asked again, it goes forward again. What is under way is answered by the version that it came to. Where the model comes from is looked at as
/// before, but the version that was left is not taken again until another was named.
#[utoipa::path(
    post,
    path = "/v1/models/{name}/rollback",
    tag = "models",
    params(("name" = String, Path, description = "The model, as `/v1/models` lists it")),
    responses((status = 200, description = "The model that is served now", body = ModelBody)),
)]
pub(crate) async fn rollback(
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Json<ModelBody>, ApiError> {
    let track = state.models().track(Some(&name)).map_err(|error| ApiError { pointer: None, ..error })?;
    let served = track.roll_back().await.map_err(|error| {
        let kind = match error {
            RollbackError::OnlyOne(_) | RollbackError::Gone => Kind::NoPreviousVersion,
            RollbackError::Load(_) => Kind::Internal,
        };
        ApiError::new(kind, error.to_string())
    })?;
    Ok(Json(ModelBody::from(served.as_ref())))
}

/// What runs here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InfoBody {
    /// `revertant`
    name: &'static str,
    /// Version of the program.
    version: &'static str,
    /// The models; requests that name none get the first.
    models: Vec<ModelBody>,
    /// Bytes of a request's body, at most.
    max_body_bytes: usize,
    /// Seconds in which a request is answered, at most.
    request_seconds: f64,
}

/// Tell what runs here.
#[utoipa::path(
    get,
    path = "/info",
    tag = "operations",
    responses((status = 200, description = "Version, models and limits", body = InfoBody)),
)]
pub(crate) async fn info(State(state): State<AppState>) -> Json<InfoBody> {
    let limits = state.limits();
    Json(InfoBody {
        name: "revertant",
        version: crate::VERSION,
        models: state.models().all().map(|model| ModelBody::from(model.as_ref())).collect(),
        max_body_bytes: limits.body_bytes,
        request_seconds: limits.answer_time.as_secs_f64(),
    })
}
