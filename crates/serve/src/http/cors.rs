//! Pages of other origins that may ask from a browser (CORS): none, unless the command line names them.

use std::str::FromStr;

use axum::http::{HeaderValue, header};
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer};

use super::{
    answer_headers::{MODEL, MODEL_DIGEST, PASSES, SERVER_TIMING},
    observe::REQUEST_ID,
};

/// An origin, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `*`
    Any,
    /// Scheme, host and port, as browsers send it.
    One(HeaderValue),
}

impl FromStr for Origin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong = || "it is a scheme, a host and perhaps a port, such as https://example.org".to_owned();
        let (scheme, host) = text.split_once("://").ok_or_else(wrong)?;
        if !["http", "https"].contains(&scheme) || host.is_empty() || host.contains('/') {
            return Err(wrong());
        }
        HeaderValue::from_str(text).map(Self::One).map_err(|_| wrong())
    }
}

/// The layer that lets them in; none where there are none.
pub fn layer(origins: &[Origin]) -> Option<CorsLayer> {
    let allowed = if origins.contains(&Origin::Any) {
        AllowOrigin::any()
    } else {
        let one = |origin: &Origin| match origin {
            Origin::One(origin) => Some(origin.clone()),
            Origin::Any => None,
        };
        AllowOrigin::list(origins.iter().filter_map(one))
    };
    let layer = CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods(AllowMethods::mirror_request())
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, MODEL, MODEL_DIGEST, PASSES, SERVER_TIMING, header::RETRY_AFTER]);
    (!origins.is_empty()).then_some(layer)
}
