//! `GET /problems/{name}`: what a problem document's `type` refers to.

use axum::{Json, extract::Path};

use crate::{
    error::{ApiError, Kind, TABLE},
    http::problem::ProblemBody,
    list::list,
};

/// Describe one kind of problem.
#[utoipa::path(
    get,
    path = "/problems/{name}",
    tag = "operations",
    params(("name" = String, Path, description = "Last part of a problem's `type`")),
    responses((status = 200, description = "The kind", body = ProblemBody)),
)]
pub(crate) async fn problem(Path(name): Path<String>) -> Result<Json<ProblemBody>, ApiError> {
    if let Some(entry) = TABLE.iter().find(|entry| entry.name == name) {
        return Ok(Json(ProblemBody::from(entry)));
    }
    let known = list(TABLE.iter().map(|entry| entry.name));
    Err(ApiError::new(Kind::NotFound, format!("there is no problem `{name}`; there are {known}")))
}
