//! The adapter: what it asks of the API, and what it makes of the answers.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use snapwarden::leader::kubernetes::KubernetesLease;
use snapwarden::leader::{Answer, Call, Lease, LeaseStore, Wish};
use tempfile::TempDir;

use super::api::{Api, Weather};

async fn connect(api: &Api) -> (KubernetesLease, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kubeconfig");
    api.write_kubeconfig(&path);
    let lease = KubernetesLease::connect("snapwarden", None, Some(&path), Duration::from_millis(400)).await.unwrap();
    assert_eq!(lease.namespace(), "ops");
    (lease, folder)
}

fn wish(holder: Option<&str>) -> Wish {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    Wish {
        holder: holder.map(str::to_owned),
        duration: Duration::from_millis(29_001),
        transitions: 3,
        acquired_at: at("2026-11-21T03:30:00.25Z"),
        renewed_at: at("2026-11-21T03:31:00Z"),
    }
}

#[track_caller]
fn lease_of(answer: Answer) -> Lease {
    match answer {
        Answer::Lease(lease) => lease,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_lease_is_made_read_replaced_and_given_back() {
    let api = Api::start().await;
    let (lease, _folder) = connect(&api).await;
    assert_eq!(lease.call(Call::Read).await, Answer::Missing);
    let made = lease_of(lease.call(Call::Create(wish(Some("a")))).await);
    assert_eq!((made.holder.as_deref(), made.duration, made.transitions), (Some("a"), Duration::from_secs(30), 3));
    let spec = &api.lease().unwrap()["spec"];
    assert_eq!((&spec["acquireTime"], &spec["renewTime"]), (&json!("2026-11-21T03:30:00.250000Z"), &json!("2026-11-21T03:31:00.000000Z")));
    assert_eq!((&spec["leaseDurationSeconds"], &spec["leaseTransitions"]), (&json!(30), &json!(3)));
    assert_eq!(lease_of(lease.call(Call::Read).await), made);
    let back = lease_of(lease.call(Call::Replace(made.version.clone(), wish(None))).await);
    assert_eq!((back.holder, api.holder().as_str()), (None, ""));
    // Whoever names a version that somebody has written over is refused.
    assert_eq!(lease.call(Call::Replace(made.version, wish(Some("a")))).await, Answer::Conflict);
    assert_eq!(lease.call(Call::Create(wish(Some("a")))).await, Answer::Conflict);
    let path = "/apis/coordination.k8s.io/v1/namespaces/ops/leases";
    let [get, post, put] = ["GET", "POST", "PUT"].map(|method| format!("{method} {path}"));
    let one = |text: &str| format!("{text}/snapwarden");
    assert_eq!(api.requests(), [one(&get), post.clone(), one(&get), one(&put), one(&put), post]);
}

#[tokio::test]
async fn what_others_have_put_on_it_stays_there() {
    let api = Api::start().await;
    api.put(json!({"holderIdentity": "", "preferredHolder": "b"}));
    let (lease, _folder) = connect(&api).await;
    let read = lease_of(lease.call(Call::Read).await);
    assert_eq!((read.holder.as_deref(), read.duration), (None, Duration::ZERO));
    lease_of(lease.call(Call::Replace(read.version, wish(Some("a")))).await);
    let written = api.lease().unwrap();
    assert_eq!((written["metadata"]["labels"]["app.kubernetes.io/name"].as_str(), api.holder().as_str()), (Some("snapwarden"), "a"));
    assert_eq!(written["spec"]["preferredHolder"], "b");
}

#[tokio::test]
async fn an_api_that_is_down_or_hangs_is_asked_once_and_told() {
    let api = Api::start().await;
    let (lease, _folder) = connect(&api).await;
    for (weather, word) in [(Weather::Status(503), "503"), (Weather::Status(429), "429"), (Weather::Hangs, "")] {
        api.weather(weather);
        let before = api.requests().len();
        let answer = lease.call(Call::Read).await;
        assert!(matches!(&answer, Answer::Failed(text) if text.contains(word)), "{answer:?}");
        assert_eq!(api.requests().len(), before + 1, "{weather:?}");
    }
    api.weather(Weather::Slow(Duration::from_millis(100)));
    assert_eq!(lease.call(Call::Read).await, Answer::Missing);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_shows_as_a_conflict_next() {
    let api = Api::start().await;
    let (lease, _folder) = connect(&api).await;
    let made = lease_of(lease.call(Call::Create(wish(Some("a")))).await);
    api.weather(Weather::LosesAnswers);
    let renewal = lease.call(Call::Replace(made.version.clone(), wish(Some("a")))).await;
    assert!(matches!(renewal, Answer::Failed(_)), "{renewal:?}");
    api.weather(Weather::Fine);
    assert_eq!(lease.call(Call::Replace(made.version, wish(Some("a")))).await, Answer::Conflict);
    assert_eq!(lease_of(lease.call(Call::Read).await).holder.as_deref(), Some("a"));
}

#[tokio::test]
async fn without_a_cluster_it_is_told_why() {
    let error = KubernetesLease::connect("snapwarden", None, None, Duration::from_secs(1)).await.err().unwrap().to_string();
    assert!(error.starts_with("find the Kubernetes API: "), "{error}");
}
