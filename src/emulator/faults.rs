//! Faults on demand: which requests they hit, and what is done instead of the right thing.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde_json::json;

use super::behaviour::{Answer, Behaviour, Deed, Shape};
use super::paths;
use crate::domain::inventory::{Kind, ServerId};

/// The number of a fault that was handed to the emulator, in the order of adding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FaultId(pub u64);

/// A rule: which requests, which of those, and what happens to them.
///
/// Say first whom it hits ([`Fault::on`], [`Fault::on_create`], …), then, if not each of them, which ([`Fault::nth`], …), then what is done.
/// Of the last group several may be combined, where that makes sense: `Fault::on_create(kind).nth(1).never_completes().cut_after_commit()`.
#[derive(Debug, Clone)]
pub struct Fault {
    who: Who,
    pub(super) when: When,
    pub(super) behaviour: Behaviour,
}

#[derive(Debug, Clone)]
struct Who {
    method: Option<Method>,
    pattern: String,
    server: Option<ServerId>,
    query: Option<String>,
}

/// Which of the requests that fit are hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum When {
    Always,
    Nth(u64),
    First(u64),
    From(u64),
    Chance(f64),
    AboveRate { per_second: f64, burst: f64 },
}

/// Whom it hits.
impl Fault {
    /// The requests with this method whose path (without `/api/v1`) fits the pattern: `{…}` stands for one segment, a `*` at the end for any rest.
    #[must_use]
    pub fn on(method: Method, pattern: &str) -> Fault {
        Fault { who: Who { method: Some(method), ..Who::path(pattern) }, when: When::Always, behaviour: Behaviour::default() }
    }

    /// Every request.
    #[must_use]
    pub fn everywhere() -> Fault {
        Fault { who: Who::path("*"), when: When::Always, behaviour: Behaviour::default() }
    }

    /// The list calls of a kind.
    #[must_use]
    pub fn on_list(kind: Kind) -> Fault {
        Fault::on(Method::GET, collection(kind))
    }

    /// The creates of a kind.
    #[must_use]
    pub fn on_create(kind: Kind) -> Fault {
        Fault::on(Method::POST, collection(kind))
    }

    /// The deletes of a kind.
    #[must_use]
    pub fn on_delete(kind: Kind) -> Fault {
        Fault::on(Method::DELETE, &format!("{}{{id}}/", collection(kind)))
    }

    /// Of those, the ones about this server: by the path, the query, the body or the item.
    #[must_use]
    pub fn server(mut self, id: u64) -> Fault {
        self.who.server = Some(ServerId(id));
        self
    }

    /// Of those, the ones whose query contains this text, such as `page=2`.
    #[must_use]
    pub fn query(mut self, text: &str) -> Fault {
        self.who.query = Some(text.to_owned());
        self
    }

    pub(super) fn fits(&self, method: &Method, path: &str, query: &str, server: Option<ServerId>) -> bool {
        self.who.method.as_ref().is_none_or(|wanted| wanted == method)
            && paths::fits(&self.who.pattern, path)
            && self.who.server.is_none_or(|wanted| server == Some(wanted))
            && self.who.query.as_ref().is_none_or(|text| query.contains(text.as_str()))
    }
}

impl Who {
    fn path(pattern: &str) -> Who {
        Who { method: None, pattern: pattern.to_owned(), server: None, query: None }
    }
}

fn collection(kind: Kind) -> &'static str {
    match kind {
        Kind::Snapshot => "/snapshots/",
        Kind::Backup => "/backups/",
    }
}

/// Which of those requests are hit; each otherwise. Requests are counted from the adding of the fault, also while another fault hits them.
impl Fault {
    /// The `n`th, from 1, and no other.
    #[must_use]
    pub fn nth(mut self, n: u64) -> Fault {
        self.when = When::Nth(n);
        self
    }

    /// The first `n`.
    #[must_use]
    pub fn first(mut self, n: u64) -> Fault {
        self.when = When::First(n);
        self
    }

    /// The `n`th, from 1, and all after it.
    #[must_use]
    pub fn from(mut self, n: u64) -> Fault {
        self.when = When::From(n);
        self
    }

    /// Each with this probability, from 0 to 1, drawn from the emulator's seeded generator.
    #[must_use]
    pub fn chance(mut self, probability: f64) -> Fault {
        self.when = When::Chance(probability);
        self
    }

    /// Those that exceed this rate, after `burst` at once (a token bucket).
    #[must_use]
    pub fn above_rate(mut self, per_second: f64, burst: u32) -> Fault {
        self.when = When::AboveRate { per_second, burst: f64::from(burst) };
        self
    }
}

/// Another answer. Unless said otherwise the request has no effect then.
impl Fault {
    /// Answers this status with a `detail`, and does nothing.
    #[must_use]
    pub fn status(mut self, status: u16) -> Fault {
        let body = json!({"detail": "A fault was ordered from the emulator."}).to_string();
        self.behaviour.answer = Answer::Instead { status, content_type: "application/json", body: body.into() };
        self.without_effect()
    }

    /// Answers this status, such as 500, after doing what was asked.
    #[must_use]
    pub fn status_after_commit(self, status: u16) -> Fault {
        self.status(status).with_effect()
    }

    /// Cuts the connection before doing anything.
    #[must_use]
    pub fn cut(mut self) -> Fault {
        self.behaviour.answer = Answer::Cut;
        self.without_effect()
    }

    /// Does what was asked and cuts the connection.
    #[must_use]
    pub fn cut_after_commit(self) -> Fault {
        self.cut().with_effect()
    }

    /// Never answers and does nothing, until the client goes away.
    #[must_use]
    pub fn hang(mut self) -> Fault {
        self.behaviour.answer = Answer::Hang;
        self.without_effect()
    }

    /// Does what was asked and never answers.
    #[must_use]
    pub fn hang_after_commit(self) -> Fault {
        self.hang().with_effect()
    }

    /// Answers 200 with an HTML page and does nothing, as a proxy under maintenance does.
    #[must_use]
    pub fn html(mut self) -> Fault {
        let body = Bytes::from_static(b"<!doctype html><title>Maintenance</title><p>Back soon.</p>");
        self.behaviour.answer = Answer::Instead { status: 200, content_type: "text/html; charset=utf-8", body };
        self.without_effect()
    }

    /// Answers a redirect and does nothing.
    #[must_use]
    pub fn redirect(self, status: u16, location: &str) -> Fault {
        self.status(status).header("location", location)
    }

    /// Does what was asked and answers the right status with a body that is not JSON.
    #[must_use]
    pub fn garbage(self) -> Fault {
        self.body("\u{feff}{\"id\": 12, \"server\": {]")
    }

    /// Replaces the body; the status stays what it would be.
    #[must_use]
    pub fn body(mut self, text: &str) -> Fault {
        let new = Bytes::copy_from_slice(text.as_bytes());
        self.behaviour.answer = match self.behaviour.answer {
            Answer::Instead { status, content_type, .. } => Answer::Instead { status, content_type, body: new },
            _ => Answer::RightStatus { content_type: "application/json", body: new },
        };
        self
    }

    /// Adds a header to the answer, or replaces it. `Date` can be replaced too.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Fault {
        self.behaviour.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds `Retry-After` in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Fault {
        self.header("retry-after", &seconds.to_string())
    }

    /// Adds `Retry-After` as a date, this long after the answer.
    #[must_use]
    pub fn retry_after_date(mut self, wait: Duration) -> Fault {
        self.behaviour.retry_after_date = Some(wait);
        self
    }
}

/// Whether the request has its effect.
impl Fault {
    /// It has, whatever is answered.
    #[must_use]
    pub fn with_effect(mut self) -> Fault {
        self.behaviour.deed = Deed::Done;
        self
    }

    /// It has none, whatever is answered. Where no other answer was chosen it is 503; for that of a success see [`Fault::pretend`].
    #[must_use]
    pub fn without_effect(mut self) -> Fault {
        self.behaviour.deed = Deed::NotDone;
        self
    }

    /// It has none, and the answer is that of a success: a 204 although the item stays, a 201 for an item that never appears.
    #[must_use]
    pub fn pretend(mut self) -> Fault {
        self.behaviour.deed = Deed::Pretended;
        self
    }

    /// It has one after this delay, and no answer, unless an answer was chosen before: `status(504).late(…)`.
    #[must_use]
    pub fn late(mut self, delay: Duration) -> Fault {
        self.behaviour.deed = Deed::Late(delay);
        if matches!(self.behaviour.answer, Answer::Right | Answer::RightStatus { .. }) {
            self.behaviour.answer = Answer::Hang;
        }
        self
    }

    /// Waits before doing anything.
    #[must_use]
    pub fn delay(mut self, wait: Duration) -> Fault {
        self.behaviour.delay_before = wait;
        self
    }

    /// Waits between doing what was asked and answering.
    #[must_use]
    pub fn delay_answer(mut self, wait: Duration) -> Fault {
        self.behaviour.delay_after = wait;
        self
    }
}

/// How the body travels.
impl Fault {
    /// Promises the whole length, sends the first `kept` bytes and cuts the connection.
    #[must_use]
    pub fn truncated(mut self, kept: usize) -> Fault {
        self.behaviour.shape = Shape::Truncated { kept };
        self
    }

    /// Sends the first `kept` bytes, and then nothing more until the client goes away.
    #[must_use]
    pub fn stalled(mut self, kept: usize) -> Fault {
        self.behaviour.shape = Shape::Stalled { kept };
        self
    }

    /// Sends one byte each interval.
    #[must_use]
    pub fn slow(mut self, each_byte: Duration) -> Fault {
        self.behaviour.shape = Shape::Slow { each_byte };
        self
    }

    /// Sends the beginning of a list and then spaces, this many bytes of them, without a length.
    #[must_use]
    pub fn endless(mut self, bytes: u64) -> Fault {
        self.behaviour.shape = Shape::Endless { bytes };
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_effect_has_no_answer_unless_one_was_chosen() {
        let answer = |fault: Fault| fault.late(Duration::from_secs(1)).behaviour.answer;
        assert!(matches!(answer(Fault::everywhere()), Answer::Hang));
        assert!(matches!(answer(Fault::everywhere().cut()), Answer::Cut));
        assert!(matches!(answer(Fault::everywhere().status(504)), Answer::Instead { status: 504, .. }));
    }
}
