//! The HTTP client for whatever leaves this process: the same caution to the provider and to those who are told of failures.

use std::error::Error;

use reqwest::{Client, ClientBuilder};

/// A client that goes nowhere but where it is sent, and sends nothing twice by itself. `tls`: whether it speaks https.
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
        // A kept connection that the other end drops just as a POST goes out leaves it in doubt. A new one each time costs a handshake, at a few
        // requests a second, and never that doubt.
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
