//! The token: kept as a sensitive header, and read again where it comes from when the provider refuses it.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use super::error::ProviderError;

type Read = dyn Fn() -> Result<SecretString, String> + Send + Sync;

/// Where the token comes from. It is read when it is first needed, and again after a 401, so that a renewed token is found without a restart.
pub struct TokenSource {
    read: Box<Read>,
    kept: Mutex<Option<HeaderValue>>,
}

impl TokenSource {
    /// A token that never changes.
    #[must_use]
    pub fn fixed(token: SecretString) -> TokenSource {
        TokenSource::new(move || Ok(token.clone()))
    }

    /// A token that `read` fetches (from a file, say). Its error is a fragment for people and must not contain the token.
    pub fn new(read: impl Fn() -> Result<SecretString, String> + Send + Sync + 'static) -> TokenSource {
        TokenSource { read: Box::new(read), kept: Mutex::new(None) }
    }

    /// The header that is kept; none: it is to be read.
    pub(super) fn kept(&self) -> Option<HeaderValue> {
        self.lock().clone()
    }

    /// This is the header to send from now on.
    pub(super) fn keep(&self, header: HeaderValue) {
        *self.lock() = Some(header);
    }

    /// The token is to be read when it is next needed.
    pub(super) fn forget(&self) {
        *self.lock() = None;
    }

    /// Reads the token again after `refused` was refused; the new header, if it is another one.
    pub(super) fn renewed(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        self.fetch().ok().filter(|header| header != refused)
    }

    fn lock(&self) -> MutexGuard<'_, Option<HeaderValue>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the token.
    pub(super) fn fetch(&self) -> Result<HeaderValue, ProviderError> {
        let token = (self.read)().map_err(|what| ProviderError::Token { what })?;
        let token = token.expose_secret();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ProviderError::Token { what: "it is empty or has a space, a line break or a letter that no token has".into() });
        }
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| ProviderError::Token { what: "it cannot stand in a header".into() })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSource([REDACTED])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_never_shown() {
        let source = TokenSource::fixed("vps_secret".into());
        let header = source.fetch().unwrap();
        assert_eq!(header.to_str().unwrap(), "Bearer vps_secret");
        assert!(!format!("{source:?} {header:?}").contains("secret"));
    }

    #[test]
    fn what_cannot_be_a_token_is_told_without_it() {
        for token in ["", "vps secret", "secret\n", "sécret"] {
            let error = TokenSource::fixed(token.into()).fetch().unwrap_err();
            assert!(error.is_auth() && !error.is_doubtful());
            assert!(!error.to_string().contains("cret"), "{error}");
        }
    }

    #[test]
    fn the_same_token_again_is_no_news() {
        let source = TokenSource::fixed("a".into());
        let header = source.fetch().unwrap();
        assert_eq!(source.renewed(&header), None);
        assert_eq!(source.renewed(&HeaderValue::from_static("Bearer old")), Some(header));
        source.keep(HeaderValue::from_static("Bearer b"));
        assert_eq!(source.kept().unwrap(), "Bearer b");
        source.forget();
        assert_eq!(source.kept(), None);
    }
}
