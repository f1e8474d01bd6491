//! `GET /problems/{name}`: what a problem document's `type` refers to.

use axum::{
    Json,
    extract::Path,
    response::{IntoResponse, Response},
};

use crate::{
    error::{ApiError, Kind, TABLE},
    http::problem::describe,
    list::list,
};

/// Describes one kind of error.
pub(super) async fn problem(Path(name): Path<String>) -> Result<Response, ApiError> {
    let Some(entry) = TABLE.iter().find(|entry| entry.name == name) else {
        let known = list(TABLE.iter().map(|entry| entry.name));
        return Err(ApiError::new(
            Kind::NotFound,
            format!("there is no problem `{name}`; there are {known}"),
        ));
    };
    Ok(Json(describe(entry)).into_response())
}
