//! The trace that a request belongs to (W3C Trace Context): taken over from its header `traceparent`, or begun.

use axum::http::HeaderMap;
use tracing::Span;

/// The header.
const TRACEPARENT: &str = "traceparent";

/// Target of the spans that are exported, and of nothing that is logged.
pub(super) const EXPORTED: &str = "otlp";

/// A request as its trace has it.
pub(crate) struct Traced {
    /// The trace's id: 32 hexadecimal digits.
    pub(crate) id: String,
    /// What is exported, where that is; everything that belongs to the request goes into it.
    pub(crate) span: Span,
}

impl Traced {
    /// A request to `route` with these headers.
    pub(crate) fn begin(method: &str, route: &str, headers: &HeaderMap) -> Self {
        let span = tracing::info_span!(
            target: EXPORTED,
            "http",
            otel.name = format!("{method} {route}"),
            otel.kind = "server",
            http.request.method = method,
            http.route = route,
            http.response.status_code = tracing::field::Empty,
        );
        #[cfg(feature = "otlp")]
        if let Some(id) = super::otlp::join(&span, headers) {
            return Self { id, span };
        }
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()).and_then(trace_id);
        let id = given.map_or_else(|| format!("{:032x}", rand::random::<u128>() | 1), str::to_owned);
        Self { id, span }
    }

    /// The request was answered with this status.
    pub(crate) fn end(&self, status: u16) {
        self.span.record("http.response.status_code", i64::from(status));
    }
}

/// The id in a header: `00-{32 digits}-{16 digits}-{2 digits}`.
fn trace_id(header: &str) -> Option<&str> {
    let mut fields = header.split('-');
    let (version, trace, parent) = (fields.next()?, fields.next()?, fields.next()?);
    let is_hex = |field: &str, length: usize| {
        field.len() == length
            && field.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let is_whole = is_hex(version, 2) && version != "ff" && is_hex(trace, 32) && is_hex(parent, 16);
    (is_whole && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_trace_is_taken_over_where_it_is_one() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        assert_eq!(trace_id(&format!("00-{trace}-b7ad6b7169203331-01")), Some(trace));
        for bad in [
            "",
            "00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad-01",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        let id = |headers: &HeaderMap| Traced::begin("GET", "/", headers).id;
        assert!(id(&headers).len() == 32 && id(&headers) != id(&headers));
        headers.insert(TRACEPARENT, format!("00-{trace}-b7ad6b7169203331-01").parse().unwrap());
        assert_eq!(id(&headers), trace);
    }
}
