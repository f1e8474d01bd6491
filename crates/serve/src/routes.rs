//! The routes. Each file is one path or one family of paths.

mod batch;
mod chat;
mod corrupt;
mod docs;
mod following;
mod health;
mod jobs;
mod metrics;
mod models;
mod problems;
mod restore;
mod stream;
mod tables;
mod ws;

use axum::{
    Router,
    extract::Request,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
};
use tower_http::{catch_panic::CatchPanicLayer, decompression::RequestDecompressionLayer};
use utoipa::{OpenApi, openapi};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    api::openapi::{Described, described},
    error::{ApiError, Kind},
    http::{auth::guard, observe::observe, state::AppState},
};

/// All routes over `state`.
pub fn router(state: AppState) -> Router {
    let (router, api) = documented().split_for_parts();
    router
        .merge(docs::router(described(api)))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(state.clone(), guard))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn(observe))
        // What has another encoding is refused where it is read, as a problem like any other.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .with_state(state)
}

/// The description of the API, as `/openapi.json` has it.
pub fn openapi() -> openapi::OpenApi {
    described(documented().into_openapi())
}

fn documented() -> OpenApiRouter<AppState> {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(restore::restore))
        .routes(routes!(stream::stream))
        .routes(routes!(batch::batch))
        .routes(routes!(jobs::create::create, jobs::list))
        .routes(routes!(jobs::job, jobs::end))
        .routes(routes!(jobs::events::events))
        .routes(routes!(jobs::result::result))
        .routes(routes!(ws::ws))
        .routes(routes!(chat::chat))
        .routes(routes!(corrupt::corrupt))
        .routes(routes!(models::models))
        .routes(routes!(models::rollback))
        .routes(routes!(models::info))
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(problems::problem))
}

async fn not_found(request: Request) -> ApiError {
    ApiError::new(Kind::NotFound, format!("there is no `{}`", request.uri().path()))
}

async fn method_not_allowed(request: Request) -> ApiError {
    let detail = format!("`{}` does not take {}", request.uri().path(), request.method());
    ApiError::new(Kind::MethodNotAllowed, detail)
}

fn panicked(_panic: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged what and where.
    let mut response = ApiError::new(Kind::Internal, "the server panicked on this request").into_response();
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use metrics_exporter_prometheus::PrometheusBuilder;
    use serde_json::{Value, json};
    use tower::ServiceExt;

    use super::*;
    use crate::{
        http::state::{Parts, RequestLimits},
        models::{Models, beside::Slot, keep, track::Track},
        scheduler::Limits,
        testing::Versions,
    };

    fn loading() -> AppState {
        let track = Track::new("script", Arc::new(Versions::default()), Limits::default());
        AppState::from(Parts {
            models: Models::new(Slot::new(track, Vec::new()), Vec::new()),
            keys: None,
            addresses: None,
            cache: None,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            limits: RequestLimits::default(),
        })
    }

    async fn state() -> AppState {
        let state = loading();
        keep::load(state.models()).await.unwrap();
        state
    }

    async fn ask(state: &AppState, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request = request.body(Body::from(body.to_string())).unwrap();
        let response = router(state.clone()).oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_model_that_panics_is_a_500_and_the_server_stays_ready() {
        let state = state().await;
        let (status, problem) =
            ask(&state, "POST", "/v1/restore", &json!({"texts": ["fine", "panic"]})).await;
        assert_eq!((status, &problem["type"]), (500, &json!("/problems/internal")));
        assert_eq!(problem["pointer"], "/texts/1");
        let (status, answer) = ask(&state, "POST", "/v1/restore", &json!({"text": "fine"})).await;
        assert_eq!((status, &answer["text"]), (200, &json!("fine")));
        assert_eq!(ask(&state, "GET", "/readyz", &json!(null)).await.0, 200);
    }

    #[tokio::test]
    async fn until_its_models_are_loaded_a_server_is_well_and_not_ready() {
        let state = loading();
        for (method, path, status) in
            [("GET", "/healthz", 200), ("GET", "/readyz", 503), ("POST", "/v1/restore", 503)]
        {
            let (found, answer) = ask(&state, method, path, &json!({"text": "early"})).await;
            assert_eq!(found, status, "{path}: {answer}");
        }
        keep::load(state.models()).await.unwrap();
        assert_eq!(ask(&state, "GET", "/readyz", &json!(null)).await.0, 200);
    }

    #[tokio::test]
    async fn an_engine_that_has_stopped_is_neither_ready_nor_healthy() {
        let state = state().await;
        state.models().drain();
        for (method, path) in [("GET", "/readyz"), ("GET", "/healthz"), ("POST", "/v1/restore")] {
            let (status, problem) = ask(&state, method, path, &json!({"text": "late"})).await;
            assert_eq!((status, &problem["type"]), (503, &json!("/problems/unavailable")), "{path}");
        }
        // On purpose it is unready, but well.
        state.start_draining();
        assert_eq!(ask(&state, "GET", "/readyz", &json!(null)).await.0, 503);
        assert_eq!(ask(&state, "GET", "/healthz", &json!(null)).await.0, 200);
    }
}
