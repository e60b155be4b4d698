//! The routes. Everything is rendered apart from the main loop, which only hands over a report.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use tokio::sync::Mutex;

use super::health::Health;
use super::page::{self, About, Query};
use super::reports::{ReportCache, SHARED_FOR, forget};
use crate::domain::report::Report;
use crate::task;
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

/// The newest of a kind of text.
type Rendering = Arc<Mutex<Option<Rendered>>>;

/// A text, with what it was made of.
#[derive(Debug)]
struct Rendered {
    report: Arc<Report>,
    /// What was asked of the page.
    query: Option<Query>,
    text: Text,
}

/// A text to be sent.
#[derive(Debug, Clone)]
struct Text {
    bytes: Bytes,
    /// Two texts with the same tag tell the same.
    tag: Option<HeaderValue>,
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text { bytes: text.into(), tag: None }
    }
}

impl Endpoints {
    /// Endpoints that tell these metrics, these reports and this health.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, reports: ReportCache, health: Arc<Health>) -> Endpoints {
        let (metrics_text, status_text, page_text) = Default::default();
        Endpoints { metrics, reports, health, metrics_text, status_text, page_text }
    }

    /// The text that `render` makes of the current report: made once for each report, or for each query of it in a row, on a thread where it is in
    /// nobody's way.
    async fn text<R>(&self, rendering: &Rendering, query: Option<Query>, render: R) -> Result<Text, Response>
    where
        R: FnOnce(&Metrics, &Report, &Query) -> Option<Text> + Send + 'static,
    {
        let report = self.reports.get().await.map_err(|error| unavailable(&format!("failed to {error}")))?;
        let mut last = Arc::clone(rendering).lock_owned().await;
        if let Some(rendered) = &*last
            && Arc::ptr_eq(&rendered.report, &report)
            && rendered.query == query
        {
            return Ok(rendered.text.clone());
        }
        let (metrics, made_of) = (Arc::clone(&self.metrics), Arc::clone(&report));
        task::spawn(forget(Arc::clone(rendering), SHARED_FOR, move |rendered: &Rendered| Arc::ptr_eq(&rendered.report, &made_of)));
        let rendered = tokio::task::spawn_blocking(move || {
            let text = render(&metrics, &report, query.as_ref().unwrap_or(&Query::default()))?;
            *last = Some(Rendered { report, query, text: text.clone() });
            Some(text)
        });
        rendered.await.ok().flatten().ok_or_else(|| unavailable("failed to write the answer: see the log"))
    }
}

/// All routes. Paths that are not among them are 404; methods other than GET and HEAD are 405.
pub fn router(endpoints: Endpoints) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/style.css", get(|| async { fixed("text/css; charset=utf-8", page::STYLE) }))
        .route("/status.js", get(|| async { fixed("text/javascript; charset=utf-8", page::SCRIPT) }))
        .route("/icon.svg", get(|| async { fixed("image/svg+xml", page::ICON) }))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/status", get(status))
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .layer(map_response(harden))
        .with_state(endpoints)
}

async fn metrics(State(endpoints): State<Endpoints>) -> Result<Response, Response> {
    let render = |metrics: &Metrics, report: &Report, _: &Query| logged(metrics.render(report));
    let text = endpoints.text(&endpoints.metrics_text, None, render).await?;
    Ok(typed(exposition::CONTENT_TYPE, text.bytes))
}

async fn status(State(endpoints): State<Endpoints>) -> Result<Response, Response> {
    let render = |_: &Metrics, report: &Report, _: &Query| logged(serde_json::to_string(&status_json(report)));
    let text = endpoints.text(&endpoints.status_text, None, render).await?;
    Ok(typed("application/json", text.bytes))
}

async fn status_page(State(endpoints): State<Endpoints>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response, Response> {
    let query = Query::parse(query.as_deref().unwrap_or_default());
    let text = endpoints.text(&endpoints.page_text, Some(query), page_text).await?;
    let Some(tag) = text.tag else { return Ok(typed("text/html; charset=utf-8", text.bytes)) };
    let known = headers.get(header::IF_NONE_MATCH) == Some(&tag);
    let answer = if known { StatusCode::NOT_MODIFIED.into_response() } else { typed("text/html; charset=utf-8", text.bytes) };
    Ok(([(header::ETAG, tag)], answer).into_response())
}

fn page_text(metrics: &Metrics, report: &Report, query: &Query) -> Option<Text> {
    let about = About { config_is_current: metrics.daemon.config_is_current() };
    let page = page::render(report, about, query);
    // Weak: the time of day at which it was made is not in it.
    let tag = HeaderValue::try_from(format!("W/\"{:016x}\"", page.tag)).ok();
    Some(Text { bytes: page.html.into(), tag })
}

fn fixed(content_type: &'static str, text: &'static str) -> Response {
    typed(content_type, Bytes::from_static(text.as_bytes()))
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

fn logged<E: std::fmt::Display>(result: Result<String, E>) -> Option<Text> {
    result.inspect_err(|error| tracing::error!(error = %error, "an answer could not be written")).ok().map(Text::from)
}

/// Headers for every answer: nothing may be loaded but our own style, script and icon, no script stands in a page, nothing is framed, guessed or kept.
async fn harden(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
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
