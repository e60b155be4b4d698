//! The same on a real kube-apiserver, which `.ci/e2e kubernetes` starts.

use std::path::PathBuf;

use rustix::process::Signal;

use super::replicas::Scene;

#[tokio::test]
async fn real_leases_let_one_act_at_a_time() {
    let Some(kubeconfig) = std::env::var_os("SNAPWARDEN_REAL_CLUSTER").map(PathBuf::from) else {
        println!("skipped: `.ci/e2e kubernetes` starts a cluster for it");
        return;
    };
    let scene = Scene::on(&kubeconfig).await;
    let first = scene.replica("first").await;
    scene.until_leads(&first).await;
    let mut second = scene.replica("second").await;
    scene.until_made(2).await;
    assert_eq!((second.metric("leader"), second.writes().len()), (Some(0.0), 0));
    // Stopped for longer than its lease, it sends nothing when it goes on.
    first.signal(Signal::STOP);
    scene.until_leads(&second).await;
    scene.until_made(2).await;
    first.signal(Signal::CONT);
    scene.stage.until("the first knows that it does not lead", || first.metric("leader") == Some(0.0)).await;
    scene.until_made(2).await;
    let (before, after) = (first.writes(), second.writes());
    assert!(before.iter().all(|write| write.at < after[0].at), "{before:#?} {after:#?}");
    // What is given back is taken at once.
    second.signal(Signal::TERM);
    scene.stage.until("the second has ended", || second.is_over() == Some(0)).await;
    scene.until_leads(&first).await;
    scene.until_made(2).await;
    scene.stage.no_twins_and_no_refusals();
}
