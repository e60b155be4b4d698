//! A stub of the Kubernetes API with the leases of one namespace: GET, POST and PUT, with versions that a write has to name.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use snapwarden::clock::{Clock, SystemClock};
use tokio::task::JoinHandle;

/// How the API answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fine,
    /// Always with this status, and does nothing.
    Status(u16),
    /// Never.
    Hangs,
    /// After so long.
    Slow(Duration),
    /// It does what is asked, and the answer is lost.
    LosesAnswers,
}

/// The lease at some time: who held it from then on.
#[derive(Debug, Clone)]
pub struct Held {
    pub at: Timestamp,
    pub holder: String,
}

#[derive(Debug)]
struct Inner {
    lease: Option<Value>,
    versions: u64,
    weather: Weather,
    requests: Vec<String>,
    history: Vec<Held>,
}

/// The stub, on a port of its own.
pub struct Api {
    inner: Arc<Mutex<Inner>>,
    pub port: u16,
    task: JoinHandle<()>,
}

impl Drop for Api {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Api {
    pub async fn start() -> Api {
        let inner = Inner { lease: None, versions: 0, weather: Weather::Fine, requests: Vec::new(), history: Vec::new() };
        let inner = Arc::new(Mutex::new(inner));
        let socket = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = socket.local_addr().unwrap().port();
        let router = Router::new().fallback(answer).with_state(Arc::clone(&inner));
        let task = tokio::spawn(async move { axum::serve(socket, router).await.unwrap() });
        Api { inner, port, task }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub fn weather(&self, weather: Weather) {
        self.inner().weather = weather;
    }

    pub fn lease(&self) -> Option<Value> {
        self.inner().lease.clone()
    }

    /// Somebody puts another lease there.
    pub fn put(&self, spec: Value) {
        let mut inner = self.inner();
        inner.versions += 1;
        let version = inner.versions.to_string();
        let labels = json!({"app.kubernetes.io/name": "snapwarden"});
        let metadata = json!({"name": "snapwarden", "namespace": "ops", "resourceVersion": version, "labels": labels});
        inner.lease = Some(json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}));
    }

    /// Who holds it now; empty: nobody.
    pub fn holder(&self) -> String {
        self.inner().lease.as_ref().map(holder).unwrap_or_default()
    }

    pub fn history(&self) -> Vec<Held> {
        self.inner().history.clone()
    }

    /// Each request as `METHOD path`.
    pub fn requests(&self) -> Vec<String> {
        self.inner().requests.clone()
    }

    /// Writes a file that says how to reach it.
    pub fn write_kubeconfig(&self, path: &Path) {
        let port = self.port;
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: stub\ncontexts: [{{name: stub, context: {{cluster: stub, user: stub, namespace: ops}}}}]\n\
             clusters: [{{name: stub, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\nusers: [{{name: stub, user: {{token: kube-token}}}}]\n"
        );
        std::fs::write(path, text).unwrap();
    }
}

fn holder(lease: &Value) -> String {
    lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.unwrap();
    let weather = {
        let mut inner = inner.lock().unwrap();
        inner.requests.push(format!("{} {}", head.method, head.uri.path()));
        inner.weather
    };
    match weather {
        Weather::Status(status) => return refusal(status, "ServiceUnavailable", "the weather is bad"),
        Weather::Hangs => std::future::pending::<()>().await,
        Weather::Slow(time) => tokio::time::sleep(time).await,
        Weather::Fine | Weather::LosesAnswers => {}
    }
    let answer = perform(&mut inner.lock().unwrap(), &head.method, head.uri.path(), &body);
    if weather == Weather::LosesAnswers && head.method != Method::GET {
        std::future::pending::<()>().await;
    }
    answer
}

fn perform(inner: &mut Inner, method: &Method, path: &str, body: &Bytes) -> Response {
    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";
    const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ops/leases/snapwarden";
    match (method.as_str(), path) {
        ("GET", LEASE) => match &inner.lease {
            Some(lease) => (StatusCode::OK, lease.to_string()).into_response(),
            None => refusal(404, "NotFound", "leases.coordination.k8s.io \"snapwarden\" not found"),
        },
        ("POST", LEASES) if inner.lease.is_some() => refusal(409, "AlreadyExists", "it exists"),
        ("POST", LEASES) => write(inner, body, StatusCode::CREATED),
        ("PUT", LEASE) => {
            let Some(now) = &inner.lease else { return refusal(404, "NotFound", "it is not there") };
            let wanted: Value = serde_json::from_slice(body).unwrap();
            match &wanted["metadata"]["resourceVersion"] {
                Value::Null => refusal(422, "Invalid", "metadata.resourceVersion: must be specified for an update"),
                version if *version == now["metadata"]["resourceVersion"] => write(inner, body, StatusCode::OK),
                _ => refusal(409, "Conflict", "the object has been modified"),
            }
        }
        _ => refusal(405, "MethodNotAllowed", "this is not how leases are used"),
    }
}

fn write(inner: &mut Inner, body: &Bytes, status: StatusCode) -> Response {
    let mut lease: Value = serde_json::from_slice(body).unwrap();
    inner.versions += 1;
    lease["metadata"]["resourceVersion"] = inner.versions.to_string().into();
    inner.history.push(Held { at: SystemClock::new().now().wall, holder: holder(&lease) });
    inner.lease = Some(lease.clone());
    (status, lease.to_string()).into_response()
}

fn refusal(code: u16, reason: &str, message: &str) -> Response {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code
    });
    (StatusCode::from_u16(code).unwrap(), status.to_string()).into_response()
}
