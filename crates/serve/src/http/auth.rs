//! Who asks: known by a key, or where the server has none, by address.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::{
    error::{ApiError, Kind},
    keys::{Key, Role},
};

use super::state::AppState;

/// Who asks; shares of the engine are theirs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client(pub Arc<str>);

impl Default for Client {
    fn default() -> Self {
        Self(Arc::from("-"))
    }
}

/// The address of the other side of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// What is there without a key: health, pages, descriptions.
const OPEN: [&str; 4] = ["/", "/healthz", "/readyz", "/openapi.json"];
/// The same of whatever lies under.
const OPEN_UNDER: [&str; 2] = ["/docs", "/problems/"];
/// What a key for restoring does not open.
const ADMIN: [&str; 1] = ["/rollback"];

/// The middleware that lets in who may come in, within their rate.
pub(crate) async fn guard(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = OPEN.contains(&path) || OPEN_UNDER.iter().any(|under| path.starts_with(under));
    // Without keys everybody may do everything.
    let mut role = Role::Admin;
    let client = match state.keys() {
        None => {
            let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
            let rate = state.addresses().filter(|_| !is_open);
            if let Some(Err(wait)) = rate.zip(peer).map(|(rate, peer)| rate.take(peer)) {
                let detail = "this address has asked too often";
                return ApiError::new(Kind::RateLimited, detail).retry_after(wait).into_response();
            }
            peer.map(|peer| Client(peer.to_string().into()))
        }
        Some(_) if is_open => None,
        Some(keys) => {
            let key = presented(request.headers()).and_then(|key| keys.find(key).ok_or_else(unknown));
            let needed =
                if ADMIN.iter().any(|end| path.ends_with(end)) { Role::Admin } else { Role::Restore };
            match key.and_then(|key| Ok((admitted(key, needed)?, key.role()))) {
                Ok((client, of_key)) => {
                    role = of_key;
                    Some(client)
                }
                Err(error) => return refused(error),
            }
        }
    };
    request.extensions_mut().insert(client.unwrap_or_default());
    request.extensions_mut().insert(role);
    next.run(request).await
}

fn admitted(key: &Key, needed: Role) -> Result<Client, ApiError> {
    if key.role() < needed {
        return Err(ApiError::new(Kind::Forbidden, format!("the key `{}` is not for this", key.name())));
    }
    key.take().map_err(|wait| {
        let detail = format!("the key `{}` has asked too often", key.name());
        ApiError::new(Kind::RateLimited, detail).retry_after(wait)
    })?;
    Ok(Client(Arc::clone(key.name())))
}

/// The key in the headers.
fn presented(headers: &HeaderMap) -> Result<&str, ApiError> {
    let missing = || ApiError::new(Kind::Unauthorized, "the request has no key");
    let value = headers.get(header::AUTHORIZATION).ok_or_else(missing)?;
    let key = value.to_str().ok().and_then(|value| value.split_once(' '));
    let key = key.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    key.map(|(_, key)| key.trim())
        .ok_or_else(|| ApiError::new(Kind::Unauthorized, "the header Authorization is not `Bearer KEY`"))
}

fn unknown() -> ApiError {
    ApiError::new(Kind::Unauthorized, "the key is not known")
}

fn refused(error: ApiError) -> Response {
    let is_unauthorized = error.kind == Kind::Unauthorized;
    let mut response = error.into_response();
    if is_unauthorized {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}
