//! Sends one notice at a time, with bounded patience. Never the token: this knows of none.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::time::sleep;
use tracing::{debug, error, warn};
use url::Url;

use crate::outgoing;

/// How much is done for one notice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    pub tries: u32,
    /// For one try, all in all.
    pub timeout: Duration,
    /// After the first try; it doubles.
    pub pause: Duration,
}

/// Sends notices of one sort.
pub(super) struct Courier {
    what: &'static str,
    patience: Patience,
    /// The clients for https and for http, once they are needed.
    clients: [Option<Client>; 2],
}

/// Why a try has failed.
struct Refusal {
    text: String,
    /// Another try is of no use.
    is_final: bool,
}

impl Courier {
    pub fn new(what: &'static str, patience: Patience) -> Courier {
        Courier { what, patience, clients: [None, None] }
    }

    /// Sends a notice: a POST of this JSON, or a GET. How that ends is told in the log. The address is not: its path is often all that keeps it secret.
    pub async fn deliver(&mut self, url: &Url, body: Option<Vec<u8>>) {
        let what = self.what;
        for attempt in 1..=self.patience.tries {
            match self.attempt(url, body.clone()).await {
                Ok(()) => return debug!(notice = what, attempt, "notice delivered"),
                Err(refusal) if refusal.is_final || attempt == self.patience.tries => {
                    return error!(notice = what, attempt, error = refusal.text, "notice not delivered");
                }
                Err(refusal) => {
                    warn!(notice = what, attempt, error = refusal.text, "notice not delivered yet");
                    sleep(self.patience.pause.saturating_mul(1 << (attempt - 1).min(16))).await;
                }
            }
        }
    }

    async fn attempt(&mut self, url: &Url, body: Option<Vec<u8>>) -> Result<(), Refusal> {
        let client = self.client(url.scheme() == "https").map_err(|error| Refusal { text: outgoing::describe(error), is_final: true })?;
        let request = match body {
            Some(body) => client.post(url.clone()).header("content-type", "application/json").body(body),
            None => client.get(url.clone()),
        };
        let answer = request.send().await.map_err(|error| Refusal { text: outgoing::describe(error), is_final: false })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let passing = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        Err(Refusal { text: format!("HTTP status {status}"), is_final: !(status.is_server_error() || passing.contains(&status)) })
    }

    fn client(&mut self, tls: bool) -> reqwest::Result<Client> {
        let kept = &mut self.clients[usize::from(tls)];
        if let Some(client) = kept {
            return Ok(client.clone());
        }
        let client = outgoing::client(tls).timeout(self.patience.timeout).build()?;
        *kept = Some(client.clone());
        Ok(client)
    }
}
