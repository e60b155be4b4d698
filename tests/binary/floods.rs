//! A provider that sends a gigabyte, one byte a second, or somebody else's address.

use std::net::TcpListener;
use std::time::Duration;

use snapwarden::domain::inventory::Kind;
use snapwarden::emulator::Fault;

use super::stage::Stage;

const GIBIBYTE: u64 = 1 << 30;
/// The program alone has about 30 MiB in a debug build, and a listing of 64 MiB is read piece by piece.
const MEMORY_MAX_MIB: u64 = 100;

/// One due run of a daemon with this fault. The one create must have come about once, and only the item that retention drops may be gone. How many
/// exchanges ended with this code is given back, and the log.
async fn a_run_survives(fault: Fault, code: &str, change: impl Fn(&Stage)) -> (f64, String) {
    let (stage, ours) = Stage::holding(3).await;
    stage.configure_due("keep: {last: 3}");
    change(&stage);
    let fault = stage.emulator.fault(fault);
    let daemon = stage.serve().await;
    let ended = |result| stage.metric(&format!("runs_total{{kind=\"snapshot\",policy=\"web\",result=\"{result}\"}}")).unwrap();
    stage.until("the run has ended", || ended("success") + ended("failure") > 0.0).await;
    assert!(stage.emulator.hits(fault) > 0, "{}", daemon.log());
    assert!(daemon.memory_peak_mib() < MEMORY_MAX_MIB, "{} MiB", daemon.memory_peak_mib());
    let metrics = stage.get("/metrics").unwrap();
    let told = metrics.lines().filter(|line| line.starts_with("snapwarden_provider_requests_total") && line.contains(code));
    let told = told.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum();
    let log = daemon.terminate().await;
    assert_eq!(stage.created(), 1);
    stage.no_twins_and_no_refusals();
    assert!(stage.deleted().iter().all(|id| *id == ours[0]), "{:?}", stage.deleted());
    stage.token_is_nowhere();
    (told, log)
}

fn as_it_is(_: &Stage) {}

/// So that it is not the time that ends it.
fn patiently(stage: &Stage) {
    stage.reconfigure("request_timeout: 500ms", "request_timeout: 20s");
}

#[tokio::test]
async fn a_gigabyte_for_a_list_is_cut() {
    let fault = Fault::on_list(Kind::Snapshot).first(1).endless(GIBIBYTE);
    assert!(a_run_survives(fault, "code=\"body\"", patiently).await.0 >= 1.0);
}

#[tokio::test]
async fn a_gigabyte_for_a_create_is_cut_and_the_item_found() {
    let change = |stage: &Stage| stage.reconfigure("request_timeout: 500ms", "request_timeout: 3s");
    let (told, log) = a_run_survives(Fault::on_create(Kind::Snapshot).first(1).endless(GIBIBYTE), "code=\"body\"", change).await;
    assert!(told >= 1.0, "{log}");
    assert!(log.contains(&format!("longer than {} bytes", 1 << 20)), "{log}");
}

#[tokio::test]
async fn a_gigabyte_for_a_delete_is_not_read() {
    for status in [200, 400] {
        let fault = Fault::on_delete(Kind::Snapshot).first(2).status(status).with_effect().endless(GIBIBYTE);
        a_run_survives(fault, "", as_it_is).await;
    }
}

#[tokio::test]
async fn a_byte_a_second_ends_at_the_timeout() {
    let slowly = |fault: Fault| fault.first(2).slow(Duration::from_secs(1));
    let timeout = "code=\"timeout\"";
    assert!(a_run_survives(slowly(Fault::on_list(Kind::Snapshot)), timeout, as_it_is).await.0 >= 2.0);
    assert!(a_run_survives(slowly(Fault::on_create(Kind::Snapshot)), timeout, as_it_is).await.0 >= 1.0);
    a_run_survives(slowly(Fault::on_delete(Kind::Snapshot).status(200).with_effect()), "", as_it_is).await;
}

/// Each byte comes in time, and still the list has an end: ten times the timeout.
#[tokio::test]
async fn a_list_that_dribbles_on_ends_too() {
    let fault = Fault::on_list(Kind::Snapshot).first(1).slow(Duration::from_millis(60));
    let quickly = |stage: &Stage| stage.reconfigure("request_timeout: 500ms", "request_timeout: 200ms");
    assert!(a_run_survives(fault, "code=\"timeout\"", quickly).await.0 >= 1.0);
}

#[tokio::test]
async fn no_redirect_is_followed_by_any_call() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let there = format!("http://{}/api/v1/snapshots/", elsewhere.local_addr().unwrap());
    let whom = [Fault::on_list(Kind::Snapshot), Fault::on_create(Kind::Snapshot), Fault::on_delete(Kind::Snapshot)];
    for (fault, status) in whom.into_iter().zip([301, 302, 307]) {
        let (told, _) = a_run_survives(fault.first(2).redirect(status, &there), &format!("code=\"{status}\""), as_it_is).await;
        assert!(told >= 1.0, "{status}");
    }
    assert_eq!(elsewhere.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody came");
}
