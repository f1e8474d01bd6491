//! `GET /healthz` and `GET /readyz`.

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{error::ApiError, http::state::AppState};

/// How it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `ok` or `ready`
    status: &'static str,
}

/// Tell whether the process can do its work at all; an orchestrator restarts it where not.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    responses((status = 200, description = "It can", body = HealthBody)),
)]
pub(crate) async fn healthz(State(state): State<AppState>) -> Result<Json<HealthBody>, ApiError> {
    // A drained engine has stopped too, on purpose.
    if state.models().are_alive() || state.is_draining() {
        Ok(Json(HealthBody { status: "ok" }))
    } else {
        Err(ApiError::unavailable("an engine has stopped"))
    }
}

/// Tell whether requests should be sent here now.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    responses((status = 200, description = "They should", body = HealthBody)),
)]
pub(crate) async fn readyz(State(state): State<AppState>) -> Result<Json<HealthBody>, ApiError> {
    if state.is_draining() {
        Err(ApiError::unavailable("the server is shutting down"))
    } else if !state.models().are_open() {
        Err(ApiError::unavailable("a model is still being loaded, or its engine has stopped"))
    } else if let Some(reason) = state.unready() {
        Err(ApiError::unavailable(reason))
    } else {
        Ok(Json(HealthBody { status: "ready" }))
    }
}
