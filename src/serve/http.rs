//! The routes. Everything is rendered apart from the main loop, which only hands over a report.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::health::Health;
use super::page;
use super::reports::ReportCache;
use crate::domain::report::Report;
use crate::telemetry::{Metrics, exposition, status_json};

/// What the endpoints need. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Endpoints {
    metrics: Arc<Metrics>,
    reports: ReportCache,
    health: Arc<Health>,
    metrics_text: Rendering,
    status_text: Rendering,
    page_text: Rendering,
}

/// A text and the report it was made of.
type Rendering = Arc<Mutex<Option<(Arc<Report>, Bytes)>>>;

impl Endpoints {
    /// Endpoints that tell these metrics, these reports and this health.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, reports: ReportCache, health: Arc<Health>) -> Endpoints {
        let (metrics_text, status_text, page_text) = Default::default();
        Endpoints { metrics, reports, health, metrics_text, status_text, page_text }
    }

    /// The text that `render` makes of the current report: made once for each report, on a thread where it is in nobody's way.
    async fn text(&self, rendering: &Rendering, render: fn(&Metrics, &Report) -> Option<String>) -> Result<Bytes, Response> {
        let report = self.reports.get().await.map_err(|error| unavailable(&format!("failed to {error}")))?;
        let mut last = Arc::clone(rendering).lock_owned().await;
        if let Some((of, text)) = &*last
            && Arc::ptr_eq(of, &report)
        {
            return Ok(text.clone());
        }
        let metrics = Arc::clone(&self.metrics);
        let rendered = tokio::task::spawn_blocking(move || {
            let text = Bytes::from(render(&metrics, &report)?);
            *last = Some((report, text.clone()));
            Some(text)
        });
        rendered.await.ok().flatten().ok_or_else(|| unavailable("failed to write the answer: see the log"))
    }
}

/// All routes. Paths that are not among them are 404; methods other than GET and HEAD are 405.
pub fn router(endpoints: Endpoints) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/style.css", get(style))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(map_response(harden))
        .with_state(endpoints)
}

async fn metrics(State(endpoints): State<Endpoints>) -> Result<Response, Response> {
    let text = endpoints.text(&endpoints.metrics_text, |metrics, report| logged(metrics.render(report))).await?;
    Ok(typed(exposition::CONTENT_TYPE, text))
}

async fn status(State(endpoints): State<Endpoints>) -> Result<Response, Response> {
    let text = endpoints.text(&endpoints.status_text, |_, report| logged(serde_json::to_string(&status_json(report)))).await?;
    Ok(typed("application/json", text))
}

async fn status_page(State(endpoints): State<Endpoints>) -> Result<Response, Response> {
    let text = endpoints.text(&endpoints.page_text, |_, report| Some(page::render(report))).await?;
    Ok(typed("text/html; charset=utf-8", text))
}

async fn style() -> Response {
    typed("text/css; charset=utf-8", Bytes::from_static(page::STYLE.as_bytes()))
}

async fn healthz(State(endpoints): State<Endpoints>) -> Response {
    match endpoints.health.stalled_for() {
        None => "ok\n".into_response(),
        Some(silence) => unavailable(&format!("the main loop has not gone round for {} s", silence.as_secs())),
    }
}

async fn readyz(State(endpoints): State<Endpoints>) -> Response {
    match endpoints.health.obstacle() {
        None => "ok\n".into_response(),
        Some(obstacle) => unavailable(&obstacle),
    }
}

fn typed(content_type: &'static str, text: Bytes) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(content_type))], text).into_response()
}

fn unavailable(why: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response()
}

fn logged<E: std::fmt::Display>(result: Result<String, E>) -> Option<String> {
    result.inspect_err(|error| tracing::error!(error = %error, "an answer could not be written")).ok()
}

/// Headers for every answer: nothing may be loaded but our own style, nothing is framed, guessed or kept.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
#[path = "http_tests.rs"]
pub(super) mod tests;
