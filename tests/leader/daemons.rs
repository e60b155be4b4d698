//! Built daemons with a lease: one acts, whatever becomes of processes and of the API.

use rustix::process::Signal;

use super::api::Weather;
use super::replicas::{DURATION, Scene};

#[tokio::test]
async fn one_acts_the_other_tells_who_and_takes_over_when_it_is_killed() {
    let scene = Scene::new().await;
    let mut first = scene.replica("first").await;
    scene.until_leads(&first).await;
    let second = scene.replica("second").await;
    scene.until_made(2).await;
    // The one that stands by serves everything, and says who leads.
    assert_eq!((second.metric("leader"), second.writes().len()), (Some(0.0), 0));
    let page = second.get("/").unwrap();
    assert!(page.contains("stands by") && page.contains(&first.identity), "{page}");
    assert!(second.get("/api/v1/status").unwrap().contains(&format!("\"leads\":false,\"holder\":\"{}\"", first.identity)));
    let (code, said) = scene.command_beside(&second, &["run", "--all"]).await;
    assert!(code == 1 && said.contains("does not lead") && said.contains(&first.identity), "{code}: {said}");
    first.kill();
    scene.until_leads(&second).await;
    scene.until_made(2).await;
    scene.judge(&[&first, &second]);
    // What the first one deleted is no loss for the second, and what it made is no missed slot.
    assert_eq!(second.metric("lost_total{kind=\"snapshot\"}"), Some(0.0));
    assert!(!scene.stage.deleted().is_empty());
}

#[tokio::test]
async fn one_that_was_stopped_for_longer_than_its_lease_sends_nothing_when_it_goes_on() {
    let scene = Scene::new().await;
    let first = scene.replica("first").await;
    scene.until_leads(&first).await;
    let second = scene.replica("second").await;
    scene.until_made(1).await;
    first.signal(Signal::STOP);
    scene.until_leads(&second).await;
    scene.until_made(2).await;
    first.signal(Signal::CONT);
    scene.stage.until("the first knows that it does not lead", || first.metric("leader") == Some(0.0)).await;
    scene.until_made(2).await;
    assert!(second.leads());
    scene.judge(&[&first, &second]);
}

/// Stopped right after a create had left, it finds nothing of it when it leads again: the other one has kept it for its time, and deleted it.
#[tokio::test]
async fn one_that_was_stopped_makes_and_loses_nothing_when_it_leads_again() {
    let scene = Scene::new().await;
    let first = scene.replica("first").await;
    scene.until_leads(&first).await;
    let mut second = scene.replica("second").await;
    scene.until_made(2).await;
    first.signal(Signal::STOP);
    scene.until_leads(&second).await;
    // More than are kept.
    scene.until_made(5).await;
    first.signal(Signal::CONT);
    scene.stage.until("the first knows that it does not lead", || first.metric("leader") == Some(0.0)).await;
    scene.until_made(1).await;
    second.signal(Signal::TERM);
    scene.stage.until("the second has ended", || second.is_over() == Some(0)).await;
    scene.until_leads(&first).await;
    scene.until_made(2).await;
    scene.judge(&[&first, &second]);
    assert_eq!(first.metric("lost_total{kind=\"snapshot\"}"), Some(0.0), "{}", scene.log(&first));
}

#[tokio::test]
async fn one_that_ends_in_order_gives_the_lease_back() {
    let scene = Scene::new().await;
    let mut first = scene.replica("first").await;
    scene.until_leads(&first).await;
    let second = scene.replica("second").await;
    scene.until_made(1).await;
    first.signal(Signal::TERM);
    scene.stage.until("the first has ended", || first.is_over() == Some(0)).await;
    let given_back = scene.api.history().into_iter().any(|held| held.holder.is_empty());
    assert!(given_back, "{:#?}", scene.api.history());
    scene.until_leads(&second).await;
    scene.until_made(2).await;
    scene.judge(&[&first, &second]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_api_nobody_acts_and_all_go_on_watching() {
    // Side by side, since nearly all of it is waiting for leases to end.
    tokio::join!(outage(Weather::Status(500)), outage(Weather::Hangs), outage(Weather::LosesAnswers));
}

async fn outage(weather: Weather) {
    let scene = Scene::new().await;
    let first = scene.replica("first").await;
    scene.until_leads(&first).await;
    scene.until_made(1).await;
    scene.api.weather(weather);
    scene.stage.until("it does not lead any more", || !first.leads()).await;
    let made = scene.stage.created();
    tokio::time::sleep(DURATION.unsigned_abs()).await;
    assert_eq!(scene.stage.created(), made, "{weather:?}");
    assert!(first.get("/readyz").unwrap().starts_with("HTTP/1.1 200"));
    scene.api.weather(Weather::Fine);
    scene.until_leads(&first).await;
    scene.until_made(1).await;
    scene.judge(&[&first]);
    assert!(scene.log(&first).contains("the lease cannot be read or written"), "{}", scene.log(&first));
}

#[tokio::test]
async fn a_command_of_its_own_does_nothing_beside_replicas() {
    let scene = Scene::new().await;
    let mut first = scene.replica("first").await;
    scene.until_leads(&first).await;
    scene.until_made(1).await;
    let (code, said) = scene.command_beside(&first, &["hold", "snapshot", "1", "--for", "1d", "--reason", "why"]).await;
    assert!(code == 2 && said.contains("unknown to the next"), "{code}: {said}");
    first.kill();
    let (code, said) = scene.command_beside(&first, &["run", "--all"]).await;
    assert!(code == 2 && said.contains("nothing is done beside the replicas"), "{code}: {said}");
    scene.judge(&[&first]);
}
