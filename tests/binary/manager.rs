//! What the service manager is told, over a socket of the test's own.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;

use super::stage::{KEEP_FOUR, Running, Stage};

/// A service manager that only listens.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(stage: &Stage) -> Manager {
        let socket = UnixDatagram::bind(stage.path("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Manager { socket, heard: Vec::new() }
    }

    /// Starts the daemon with a watchdog that wants a sign of life each 600 ms.
    async fn starts(&self, stage: &Stage) -> Running {
        let socket = format!("NOTIFY_SOCKET={}", stage.path("notify").display());
        stage.serve_through(&["env", &socket, "WATCHDOG_USEC=600000"]).await
    }

    /// The lines of all messages so far.
    fn lines(&mut self) -> &[String] {
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.heard.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
        }
        &self.heard
    }

    fn count(&mut self, line: &str) -> usize {
        self.lines().iter().filter(|heard| *heard == line).count()
    }

    fn status(&mut self) -> &str {
        self.lines().iter().rev().find_map(|line| line.strip_prefix("STATUS=")).unwrap_or("")
    }
}

#[tokio::test]
async fn the_manager_hears_of_everything() {
    let stage = Stage::new().await;
    stage.configure_due(KEEP_FOUR);
    let mut manager = Manager::new(&stage);
    let daemon = manager.starts(&stage).await;
    stage.until("it is ready", || manager.count("READY=1") == 1).await;
    stage.until("signs of life come", || manager.count("WATCHDOG=1") > 5).await;
    stage.until("it says how things stand", || manager.status().starts_with("1 target; next slot 20")).await;

    stage.reconfigure("last: 4", "last: 40");
    daemon.signal(Signal::HUP);
    stage.until("the reload has ended", || manager.count("READY=1") == 2).await;
    assert_eq!(manager.count("RELOADING=1"), 1);
    let refused = "the configuration on disk is refused, an older one is in effect; 1 target";
    stage.until("it says that the file is not what counts", || manager.status().starts_with(refused)).await;

    stage.reconfigure("last: 40", "last: 3");
    daemon.signal(Signal::HUP);
    stage.until("the second reload has ended", || manager.count("READY=1") == 3).await;
    stage.until("all is well again", || manager.status().starts_with("1 target; ")).await;
    assert!(manager.lines().iter().any(|line| line.starts_with("MONOTONIC_USEC=")));

    daemon.terminate().await;
    assert_eq!(manager.count("STOPPING=1"), 1);
    let patience = manager.lines().iter().find_map(|line| line.strip_prefix("EXTEND_TIMEOUT_USEC=")).unwrap();
    assert!(patience.parse::<u64>().unwrap() > 500_000, "longer than one request may take: {patience}");
}

/// The loop's own progress feeds the watchdog: the daemon sleeps no longer than it may, though there is nothing to do.
#[tokio::test]
async fn an_idle_daemon_gives_signs_of_life() {
    let stage = Stage::new().await;
    stage.configure("policies: {}\nservers: []\n");
    let mut manager = Manager::new(&stage);
    let daemon = manager.starts(&stage).await;
    let before = manager.count("WATCHDOG=1");
    stage.until("signs of life come", || manager.count("WATCHDOG=1") > before + 5).await;
    daemon.terminate().await;
}
