//! The closed list of what can go wrong with a call.

use std::time::Duration;

use super::exchange::Code;

/// Why a call brought no answer that can be used. Texts from outside are bounded and safe to print; no decision may depend on them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The token could not be read, so nothing was sent.
    #[error("the token cannot be used: {what}")]
    Token {
        /// What is wrong; never the token.
        what: String,
    },
    /// No connection came about (name, route, refusal, TLS), so nothing was sent.
    #[error("there is no connection to the provider: {what}")]
    Connect {
        /// What the system says.
        what: String,
    },
    /// Another replica is in charge, or may be before the exchange is over, so nothing was sent.
    #[error("this replica is not in charge long enough, so nothing is sent")]
    NotInCharge,
    /// It had to wait for its turn until what it was decided on was no longer fresh, so nothing was sent.
    #[error("it waited for its turn until the listing that it was decided on was too old, so nothing is sent")]
    Outdated,
    /// Sent, and no whole answer came in time.
    #[error("the provider did not answer in time")]
    Timeout,
    /// Sent, and the connection was cut before the whole answer had come, or what came is not HTTP.
    #[error("the connection was cut: {what}")]
    Broken {
        /// What the system says.
        what: String,
    },
    /// The answer is longer than anything sensible.
    #[error("the answer is longer than {limit} bytes")]
    TooLarge {
        /// The most that is ever read.
        limit: u64,
    },
    /// The provider failed (5xx).
    #[error("the provider failed with status {status}")]
    Server {
        /// The status.
        status: u16,
        /// When it asks to be left alone until (a 503 that is really throttling).
        retry_after: Option<Duration>,
    },
    /// The provider points elsewhere (3xx). Never followed: the token would go along.
    #[error("the provider redirects (status {status}), which is never followed; check `provider.url`")]
    Redirect {
        /// The status.
        status: u16,
    },
    /// A success whose body is not what is documented.
    #[error("the answer cannot be read: {what}")]
    Unreadable {
        /// What could not be read.
        what: String,
    },
    /// A success that speaks of something else than what was asked for.
    #[error("the answer does not match the request: {what}")]
    Mismatch {
        /// What differs.
        what: String,
    },
    /// The token is refused (401).
    #[error("the token is refused")]
    Unauthorized,
    /// The token may not do this (403).
    #[error("the token may not do this")]
    Forbidden,
    /// The provider does not know the thing (404).
    #[error("the provider does not know it")]
    NotFound,
    /// The request is refused (400 and every 4xx not named here).
    #[error("the provider refused with status {status}{}", words(.message))]
    Rejected {
        /// The status.
        status: u16,
        /// The provider's words, for people only; may be empty.
        message: String,
    },
    /// The server is busy with something else (409, 423).
    #[error("the server is busy with something else (status {status})")]
    Busy {
        /// The status.
        status: u16,
    },
    /// Too many requests (429). Also told by the client itself, without sending, while the provider has asked for a long pause.
    #[error("the provider asks for fewer requests")]
    Throttled {
        /// How long it asks to be left alone, if it says.
        retry_after: Option<Duration>,
    },
}

impl ProviderError {
    /// Whether a write that ended so may have been done all the same. It must then be looked for, never sent again blindly.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        match self {
            ProviderError::Timeout
            | ProviderError::Broken { .. }
            | ProviderError::TooLarge { .. }
            | ProviderError::Server { .. }
            | ProviderError::Redirect { .. }
            | ProviderError::Unreadable { .. }
            | ProviderError::Mismatch { .. } => true,
            ProviderError::Token { .. }
            | ProviderError::Connect { .. }
            | ProviderError::NotInCharge
            | ProviderError::Outdated
            | ProviderError::Unauthorized
            | ProviderError::Forbidden
            | ProviderError::NotFound
            | ProviderError::Rejected { .. }
            | ProviderError::Busy { .. }
            | ProviderError::Throttled { .. } => false,
        }
    }

    /// Whether it sets `provider_up` to 0 (contract §5): a refused token, a failed connection, a timeout or a 5xx.
    #[must_use]
    pub fn is_provider_down(&self) -> bool {
        match self {
            ProviderError::Connect { .. } | ProviderError::Timeout | ProviderError::Broken { .. } | ProviderError::Server { .. } => true,
            _ => self.is_auth(),
        }
    }

    /// Whether it is about the token, so that every other call would end the same way.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(self, ProviderError::Token { .. } | ProviderError::Unauthorized)
    }

    /// How long the provider asks to be left alone, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ProviderError::Server { retry_after, .. } | ProviderError::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// The value of the label `code` for an exchange that ended so.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            ProviderError::Token { .. } | ProviderError::Connect { .. } | ProviderError::NotInCharge | ProviderError::Outdated => {
                Code::Connect
            }
            ProviderError::Timeout => Code::Timeout,
            ProviderError::Broken { .. }
            | ProviderError::TooLarge { .. }
            | ProviderError::Unreadable { .. }
            | ProviderError::Mismatch { .. } => Code::Body,
            ProviderError::Unauthorized => Code::Status(401),
            ProviderError::Forbidden => Code::Status(403),
            ProviderError::NotFound => Code::Status(404),
            ProviderError::Throttled { .. } => Code::Status(429),
            ProviderError::Server { status, .. }
            | ProviderError::Redirect { status }
            | ProviderError::Rejected { status, .. }
            | ProviderError::Busy { status } => Code::Status(*status),
        }
    }

    /// What a status that is no success of the call means. `message` is the provider's own text, already made safe.
    /// The same error with its texts changed so.
    pub(super) fn with_texts(mut self, change: impl Fn(&str) -> String) -> ProviderError {
        match &mut self {
            ProviderError::Token { what: text }
            | ProviderError::Connect { what: text }
            | ProviderError::Broken { what: text }
            | ProviderError::Unreadable { what: text }
            | ProviderError::Mismatch { what: text }
            | ProviderError::Rejected { message: text, .. } => *text = change(text),
            ProviderError::NotInCharge
            | ProviderError::Outdated
            | ProviderError::Timeout
            | ProviderError::TooLarge { .. }
            | ProviderError::Server { .. }
            | ProviderError::Redirect { .. }
            | ProviderError::Unauthorized
            | ProviderError::Forbidden
            | ProviderError::NotFound
            | ProviderError::Busy { .. }
            | ProviderError::Throttled { .. } => {}
        }
        self
    }

    pub(super) fn from_status(status: u16, retry_after: Option<Duration>, message: String) -> ProviderError {
        match status {
            401 => ProviderError::Unauthorized,
            403 => ProviderError::Forbidden,
            404 => ProviderError::NotFound,
            // The other side gave up waiting for the request, or for somebody behind it: no more a final "no" than a timeout of ours.
            408 => ProviderError::Timeout,
            409 | 423 => ProviderError::Busy { status },
            429 => ProviderError::Throttled { retry_after },
            300..=399 => ProviderError::Redirect { status },
            400..=499 => ProviderError::Rejected { status, message },
            500..=599 => ProviderError::Server { status, retry_after },
            _ => ProviderError::Unreadable { what: format!("the status is {status}, which is not documented here") },
        }
    }
}

fn words(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(" and says: {message}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16) -> ProviderError {
        ProviderError::from_status(status, Some(Duration::from_secs(7)), "no".into())
    }

    #[test]
    fn a_final_no_is_told_from_doubt() {
        for status in [400, 401, 403, 404, 405, 409, 413, 422, 423, 425, 429, 451] {
            assert!(!of(status).is_doubtful(), "{status}");
        }
        for status in [199, 206, 301, 302, 303, 307, 308, 408, 500, 502, 503, 504, 520, 599, 700] {
            assert!(of(status).is_doubtful(), "{status}");
        }
    }

    #[test]
    fn down_is_what_the_contract_names() {
        for status in [401, 408, 500, 502, 503, 504] {
            assert!(of(status).is_provider_down(), "{status}");
        }
        for status in [302, 400, 403, 404, 409, 429] {
            assert!(!of(status).is_provider_down(), "{status}");
        }
    }

    #[test]
    fn only_throttling_and_5xx_carry_a_pause() {
        assert_eq!(of(429).retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(of(503).retry_after(), Some(Duration::from_secs(7)));
        assert_eq!(of(400).retry_after(), None);
    }

    #[test]
    fn labels_and_messages() {
        assert_eq!(of(418).code().to_string(), "418");
        assert_eq!(of(408).code().to_string(), "timeout");
        assert_eq!(ProviderError::TooLarge { limit: 1 }.code().to_string(), "body");
        assert_eq!(of(400).to_string(), "the provider refused with status 400 and says: no");
    }
}
