//! Traces to a collector of OpenTelemetry, by OTLP over HTTP. Its variables mean what its specification says: `OTEL_EXPORTER_OTLP_ENDPOINT`,
//! `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_BSP_*`.

use axum::http::{HeaderMap, HeaderName};
use opentelemetry::{
    global,
    propagation::Extractor,
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, Tracer},
};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

use super::LogError;

/// Whoever is to get traces, one of these says where.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Name of the service unless the environment has one.
const SERVICE: &str = "revertant";

/// Sends traces in the background; dropped, it sends the last ones.
pub(super) struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send, where there is a collector.
    ///
    /// # Errors
    ///
    /// Where its address cannot be used.
    pub(super) fn start() -> Result<Option<Self>, LogError> {
        if ENDPOINTS.iter().all(|name| std::env::var_os(name).is_none_or(|value| value.is_empty())) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.map_err(|error| LogError::Traces(error.to_string()))?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name(SERVICE);
        }
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        global::set_text_map_propagator(TraceContextPropagator::new());
        Ok(Some(Self(provider.with_resource(resource.build()).build())))
    }

    /// The layer that gives it what is traced.
    pub(super) fn layer<S>(&self) -> OpenTelemetryLayer<S, Tracer>
    where
        S: Subscriber + for<'s> LookupSpan<'s>,
    {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer(SERVICE))
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes `span` a part of the trace that the headers name, and gives the trace's id; none where nothing is exported.
pub(super) fn join(span: &Span, headers: &HeaderMap) -> Option<String> {
    let parent = global::get_text_map_propagator(|propagator| propagator.extract(&Headers(headers)));
    // Where nothing is exported, there is no parent to set.
    let _not_exported = span.set_parent(parent);
    let context = span.context();
    let known = context.span().span_context().clone();
    known.is_valid().then(|| known.trace_id().to_string())
}

struct Headers<'h>(&'h HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}
