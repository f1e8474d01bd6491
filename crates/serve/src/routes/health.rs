//! `GET /healthz` and `GET /readyz`.

use axum::{Json, extract::State};
use serde_json::{Value, json};

use crate::{error::ApiError, http::state::AppState};

/// Whether the process can do its work at all; an orchestrator restarts it where not.
pub(super) async fn healthz(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    // A drained engine has stopped too, on purpose.
    if state.scheduler().is_alive() || state.is_draining() {
        Ok(Json(json!({"status": "ok"})))
    } else {
        Err(ApiError::unavailable("the engine has stopped"))
    }
}

/// Whether requests should be sent here now.
pub(super) async fn readyz(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    if state.is_draining() {
        Err(ApiError::unavailable("the server is shutting down"))
    } else if state.scheduler().is_open() {
        Ok(Json(json!({"status": "ready"})))
    } else {
        Err(ApiError::unavailable("the engine has stopped"))
    }
}
