//! The HTTP client for whatever leaves this process: the same caution to the provider and to those who are told of what happens.

use std::error::Error;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, Response};
use url::Url;

/// A client that goes nowhere but where it is sent, sends nothing twice by itself, and keeps no connection. (One that is told to keep them sends what a
/// connection has not taken over another one: nothing of it had gone out.) `tls`: whether it speaks https.
pub fn client(tls: bool) -> ClientBuilder {
    // Fails only where somebody has installed one before, which is then used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("snapwarden/", env!("CARGO_PKG_VERSION")))
        // A redirect would take what is sent elsewhere, the token too, or turn a POST into a GET.
        .redirect(reqwest::redirect::Policy::none())
        // The environment must not be able to send it through somebody's proxy.
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .http1_only()
        // A kept connection that the other end drops just as something goes out leaves that in doubt.
        .pool_max_idle_per_host(0)
        .tls_version_min(reqwest::tls::Version::TLS_1_2);
    // In the open, the machine's CA certificates are not needed and may be missing.
    if tls { builder } else { builder.tls_certs_only([]) }
}

/// The whole chain of what went wrong, without the address: it is known, or its path is a secret, and a `next` link may hold anything. Not escaped.
#[must_use]
pub fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// So many times a [`Put`] is tried.
const PUT_TRIES: u32 = 3;
/// For one try, all in all.
const PUT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after the first try; it doubles.
const PUT_PAUSE: Duration = Duration::from_secs(1);
/// So many bytes of a refusal are told.
const REFUSAL_BYTES_MAX: usize = 300;

/// A text that takes another one's place. To send it twice is to send it once.
#[derive(Debug, Clone)]
pub struct Put {
    /// Where.
    pub url: Url,
    /// What the text is.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

/// Sends it, a few times if need be.
///
/// # Errors
/// Why the last try has failed, in words; what the other side says to it is not escaped.
pub async fn put(put: Put) -> Result<(), String> {
    let client = client(put.url.scheme() == "https").timeout(PUT_TIMEOUT).build().map_err(describe)?;
    let mut tries = 1;
    loop {
        let sending = client.put(put.url.clone()).header("content-type", put.content_type).body(put.body.clone()).send();
        let (error, is_final) = match sending.await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) => {
                let status = answer.status();
                (format!("HTTP status {status}{}", refusal(answer).await), status.is_client_error())
            }
            Err(error) => (describe(error), false),
        };
        if is_final || tries >= PUT_TRIES {
            return Err(error);
        }
        tokio::time::sleep(PUT_PAUSE.saturating_mul(1 << (tries - 1))).await;
        tries += 1;
    }
}

/// The beginning of what the other side says.
async fn refusal(mut answer: Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < REFUSAL_BYTES_MAX
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        bytes.extend_from_slice(&chunk[..chunk.len().min(REFUSAL_BYTES_MAX - bytes.len())]);
    }
    let text = String::from_utf8_lossy(&bytes);
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}
