//! `GET /`, `/docs` and `/openapi.json`: the API for people and for programs. All that the pages need is in the binary.

use axum::{Router, response::Html, routing::get};
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::state::AppState;

/// The page at `/`: a text box, and what becomes of the text in it.
const PAGE: &str = include_str!("page.html");

/// The routes of the pages, over the description of the API.
pub(super) fn router(api: OpenApi) -> Router<AppState> {
    let config = Config::from("/openapi.json").use_base_layout().try_it_out_enabled(true);
    let docs = SwaggerUi::new("/docs").url("/openapi.json", api).config(config);
    Router::from(docs).route("/", get(async || Html(PAGE)))
}
