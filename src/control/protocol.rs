//! What is said on the socket: one line of JSON a message, each with the version of the protocol.
//!
//! A client sends one order and reads answers until the last one, which is any but [`Answer::Accepted`], [`Answer::Told`], [`Answer::LeftOut`] and
//! [`Answer::Waiting`]. Whatever changes here raises [`VERSION`]: both ends are the same program, and two that differ tell each other so.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::controller::{Fatal, Input, Request, RequestReport, Select, ServerPattern, TargetResult, What};
use crate::domain::fact::{Fact, Target};
use crate::domain::globs::Globs;
use crate::domain::hook::HookSide;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::is_word;
use crate::domain::problem::{AccountReason, OpResult, Problem, Reason, RunResult};

use crate::domain::standing::{self, StandingOrder};

use super::plain;
use super::standing::{StandForm, Stands, check, too_long};

/// The version of the protocol.
pub const VERSION: u64 = 3;

/// An order has at most so many bytes.
pub const ORDER_BYTES_MAX: usize = 64 * 1024;

/// An answer has at most so many bytes: the report of a run for twenty thousand targets has its place in it.
pub const ANSWER_BYTES_MAX: usize = 32 * 1024 * 1024;

/// The longest time for which an item can be held.
const KEEP_FOR_MAX: Duration = Duration::from_secs(1_000 * 366 * 24 * 3600);

/// What a command asks of the daemon.
///
/// Another order gets a variant here, a form in `OrderForm`, and an [`Input`] of the controller in [`Order::into_input`]. It is answered when the
/// controller says [`crate::controller::Notice::Finished`], or [`crate::controller::Notice::Ordered`], with the order's number.
#[derive(Debug, Clone)]
pub enum Order {
    /// `run`.
    Run {
        /// Of which targets.
        select: Select,
        /// Only due slots.
        due: bool,
        /// The answer is to have the gauges, as they are at the end.
        gauges: bool,
        /// The user who asks, for the journal.
        by: Box<str>,
    },
    /// `take`.
    Take {
        /// Of which target.
        select: Select,
        /// What stands in the middle of its name; else the policy's name.
        label: Option<String>,
        /// It is held for so long.
        keep_for: Option<Duration>,
        /// At the cap, one item is given for it.
        make_room: bool,
        /// The user who asks, for the journal.
        by: Box<str>,
    },
    /// `pause`, `resume`, `hold`, `release`, and what a restore leaves behind.
    Stand(standing::Order),
}

impl Order {
    /// Whose facts the client wants to hear; none: nobody's.
    #[must_use]
    pub fn select(&self) -> Option<&Select> {
        match self {
            Order::Run { select, .. } | Order::Take { select, .. } => Some(select),
            Order::Stand(_) => None,
        }
    }

    /// Whether the answer is to have the gauges.
    #[must_use]
    pub fn wants_gauges(&self) -> bool {
        matches!(self, Order::Run { gauges: true, .. })
    }

    /// The word for the log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Order::Run { .. } => "run",
            Order::Take { .. } => "take",
            Order::Stand(order) => order.what.as_str(),
        }
    }

    /// What it means for a controller that knows it by this number.
    #[must_use]
    pub fn into_input(self, id: u64) -> Input {
        match self.into_request(id) {
            Ok(request) => Input::Request(request),
            Err(order) => Input::Order(id, Box::new(order)),
        }
    }

    /// The same as a request of one's own controller.
    ///
    /// # Errors
    /// What is to stand for a while is no request.
    pub fn into_request(self, id: u64) -> Result<Request, standing::Order> {
        match self {
            Order::Run { select, due, gauges: _, by } => Ok(Request { id, select, what: What::Run { due }, by: Some(by) }),
            Order::Take { select, label, keep_for, make_room, by } => {
                Ok(Request { id, select, what: What::Take { label, keep_for, make_room }, by: Some(by) })
            }
            Order::Stand(order) => Err(order),
        }
    }
}

/// What the daemon says.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// The order is taken.
    Accepted {
        /// The digest of the configuration that the daemon works by.
        config: String,
    },
    /// Something has happened to what the order is about.
    Told(Fact),
    /// So many facts were left out, since the client did not read fast enough.
    LeftOut(u64),
    /// Nothing has happened for a while; the daemon is still there.
    Waiting,
    /// The order is done with.
    Finished {
        /// What became of it.
        report: RequestReport,
        /// What is wrong with entries of the configuration as a whole.
        faults: Vec<String>,
        /// The gauges as text, where they were asked for.
        gauges: Option<String>,
    },
    /// What stands now; else why nothing does.
    Stands(Result<Vec<StandingOrder>, String>),
    /// The daemon stops.
    Stopping,
    /// The order is not taken.
    Refused(String),
}

/// A message that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// The other end is another version of the program.
    #[error(
        "the other end speaks version {0} of the protocol, and this one version {VERSION}: use the same release of snapwarden for both"
    )]
    Version(u64),
    /// It is no message.
    #[error("this is no message of the protocol: {0}")]
    Unreadable(String),
    /// It says something that cannot be.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Deserialize)]
struct Version {
    snapwarden: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderMessage {
    snapwarden: u64,
    order: OrderForm,
}

#[derive(Serialize, Deserialize)]
struct AnswerMessage {
    snapwarden: u64,
    answer: AnswerForm,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum OrderForm {
    Run { select: SelectForm, due: bool, gauges: bool, by: Box<str> },
    Take { select: SelectForm, label: Option<String>, keep_for: Option<Duration>, make_room: bool, by: Box<str> },
    Stand(#[serde(with = "StandForm")] standing::Order),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SelectForm {
    servers: Vec<ServerForm>,
    policies: Vec<String>,
    #[serde(with = "plain")]
    kinds: Vec<Kind>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ServerForm {
    Id(u64),
    Name(#[serde(with = "plain")] Globs),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum AnswerForm {
    Accepted { config: String },
    Told(#[serde(with = "FactForm")] Fact),
    LeftOut(u64),
    Waiting,
    Finished { report: ReportForm, faults: Vec<String>, gauges: Option<String> },
    Stands(Result<Vec<Stands>, String>),
    Stopping,
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct ReportForm {
    #[serde(with = "plain")]
    started_at: Option<Timestamp>,
    targets: Vec<TargetForm>,
    fatal: Option<FatalForm>,
}

#[derive(Serialize, Deserialize)]
struct TargetForm {
    #[serde(with = "plain")]
    target: Target,
    #[serde(with = "plain")]
    result: RunResult,
    #[serde(with = "plain")]
    created: Vec<ItemId>,
    #[serde(with = "plain")]
    deleted: Vec<ItemId>,
    #[serde(with = "plain")]
    problems: Vec<Problem>,
    error: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum FatalForm {
    Provider(String),
    Selection(String),
    Standby(String),
}

/// The form of a [`Fact`]: the derived code is made for that, and does not compile if the two differ.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Fact", rename_all = "snake_case")]
#[rustfmt::skip]
enum FactForm {
    RunStarted {
        #[serde(with = "plain")] target: Target,
        run: u64,
        #[serde(with = "plain")] slot: Option<Timestamp>,
        lateness: Option<Duration>,
    },
    RunEnded {
        #[serde(with = "plain")] target: Target,
        run: u64,
        #[serde(with = "plain")] slot: Option<Timestamp>,
        #[serde(with = "plain")] result: RunResult,
        duration: Duration,
        #[serde(with = "plain")] created: Vec<ItemId>,
        #[serde(with = "plain")] deleted: Vec<ItemId>,
        #[serde(with = "plain")] problems: Vec<Problem>,
        error: Option<String>,
    },
    CreateSent { #[serde(with = "plain")] target: Target, run: u64, op: u64, name: String, attempt: u32 },
    CreateInDoubt { #[serde(with = "plain")] target: Target, run: u64, op: u64, error: String },
    CreateDecided {
        #[serde(with = "plain")] target: Target,
        run: u64,
        op: u64,
        #[serde(with = "plain")] item: Option<ItemId>,
        name: String,
        #[serde(with = "plain")] result: OpResult,
        error: Option<String>,
    },
    Completed { #[serde(with = "plain")] target: Target, run: u64, #[serde(with = "plain")] item: ItemId },
    DeleteSent {
        #[serde(with = "plain")] target: Target,
        run: u64,
        op: u64,
        #[serde(with = "plain")] item: ItemId,
        name: String,
        why: String,
    },
    DeleteDecided {
        #[serde(with = "plain")] target: Target,
        run: u64,
        op: u64,
        #[serde(with = "plain")] item: ItemId,
        name: String,
        why: String,
        #[serde(with = "plain")] result: OpResult,
        error: Option<String>,
    },
    Missed { #[serde(with = "plain")] target: Target, count: u64, #[serde(with = "plain")] newest: Timestamp },
    Lost { #[serde(with = "plain")] target: Target, #[serde(with = "plain")] item: ItemId, name: String },
    GuardRefused { #[serde(with = "plain")] target: Target, run: u64, violation: String },
    ProblemRaised { #[serde(with = "plain")] target: Target, #[serde(with = "plain")] problem: Problem },
    ProblemCleared { #[serde(with = "plain")] target: Target, #[serde(with = "plain")] reason: Reason },
    AccountProblemRaised { #[serde(with = "plain")] reason: AccountReason, detail: String },
    AccountProblemCleared { #[serde(with = "plain")] reason: AccountReason },
    HookStarted { #[serde(with = "plain")] target: Target, run: u64, #[serde(with = "plain")] side: HookSide },
    HookEnded {
        #[serde(with = "plain")] target: Target,
        run: u64,
        #[serde(with = "plain")] side: HookSide,
        error: Option<String>,
        output: String,
    },
    Note { #[serde(with = "plain")] target: Option<Target>, text: String },
}

impl From<&Select> for SelectForm {
    fn from(select: &Select) -> SelectForm {
        let server = |pattern: &ServerPattern| match pattern {
            ServerPattern::Id(id) => ServerForm::Id(id.0),
            ServerPattern::Name(globs) => ServerForm::Name(globs.clone()),
        };
        SelectForm { servers: select.servers.iter().map(server).collect(), policies: select.policies.clone(), kinds: select.kinds.clone() }
    }
}

impl From<SelectForm> for Select {
    fn from(form: SelectForm) -> Select {
        let server = |pattern| match pattern {
            ServerForm::Id(id) => ServerPattern::Id(ServerId(id)),
            ServerForm::Name(globs) => ServerPattern::Name(globs),
        };
        Select { servers: form.servers.into_iter().map(server).collect(), policies: form.policies, kinds: form.kinds }
    }
}

impl From<&Order> for OrderForm {
    fn from(order: &Order) -> OrderForm {
        match order {
            Order::Run { select, due, gauges, by } => OrderForm::Run { select: select.into(), due: *due, gauges: *gauges, by: by.clone() },
            Order::Take { select, label, keep_for, make_room, by } => {
                let (label, by) = (label.clone(), by.clone());
                OrderForm::Take { select: select.into(), label, keep_for: *keep_for, make_room: *make_room, by }
            }
            Order::Stand(order) => OrderForm::Stand(order.clone()),
        }
    }
}

impl TryFrom<OrderForm> for Order {
    type Error = ProtocolError;

    /// What the command line sees to is seen to again: anybody may write to the socket who may open it.
    fn try_from(form: OrderForm) -> Result<Order, ProtocolError> {
        match form {
            OrderForm::Run { by, .. } | OrderForm::Take { by, .. } if too_long(&by) => {
                Err(ProtocolError::Invalid("the name of who asks is too long".to_owned()))
            }
            OrderForm::Run { select, due, gauges, by } => Ok(Order::Run { select: select.into(), due, gauges, by }),
            OrderForm::Take { label: Some(label), .. } if !is_word(&label) => {
                Err(ProtocolError::Invalid("a label has letters, digits, `_` and `-`, at most 20".to_owned()))
            }
            OrderForm::Take { keep_for: Some(keep_for), .. } if keep_for > KEEP_FOR_MAX => {
                Err(ProtocolError::Invalid("nothing is held for longer than 1000 years".to_owned()))
            }
            OrderForm::Stand(order) => check(&order).map(|()| Order::Stand(order)),
            OrderForm::Take { select, label, keep_for, make_room, by } => {
                Ok(Order::Take { select: select.into(), label, keep_for, make_room, by })
            }
        }
    }
}

impl From<RequestReport> for ReportForm {
    fn from(report: RequestReport) -> ReportForm {
        let target = |target: TargetResult| {
            let TargetResult { target, result, created, deleted, problems, error } = target;
            TargetForm { target, result, created, deleted, problems, error }
        };
        let fatal = report.fatal.map(|fatal| match fatal {
            Fatal::Provider(why) => FatalForm::Provider(why),
            Fatal::Selection(why) => FatalForm::Selection(why),
            Fatal::Standby(why) => FatalForm::Standby(why),
        });
        ReportForm { started_at: report.started_at, targets: report.targets.into_iter().map(target).collect(), fatal }
    }
}

impl From<ReportForm> for RequestReport {
    /// The number is the daemon's; the client has asked for one thing only.
    fn from(form: ReportForm) -> RequestReport {
        let target = |form: TargetForm| {
            let TargetForm { target, result, created, deleted, problems, error } = form;
            TargetResult { target, result, created, deleted, problems, error }
        };
        let fatal = form.fatal.map(|fatal| match fatal {
            FatalForm::Provider(why) => Fatal::Provider(why),
            FatalForm::Selection(why) => Fatal::Selection(why),
            FatalForm::Standby(why) => Fatal::Standby(why),
        });
        RequestReport { id: 0, started_at: form.started_at, targets: form.targets.into_iter().map(target).collect(), fatal }
    }
}

impl From<Answer> for AnswerForm {
    fn from(answer: Answer) -> AnswerForm {
        match answer {
            Answer::Accepted { config } => AnswerForm::Accepted { config },
            Answer::Told(fact) => AnswerForm::Told(fact),
            Answer::LeftOut(count) => AnswerForm::LeftOut(count),
            Answer::Waiting => AnswerForm::Waiting,
            Answer::Finished { report, faults, gauges } => AnswerForm::Finished { report: report.into(), faults, gauges },
            Answer::Stands(result) => AnswerForm::Stands(result.map(|orders| orders.into_iter().map(Stands).collect())),
            Answer::Stopping => AnswerForm::Stopping,
            Answer::Refused(why) => AnswerForm::Refused(why),
        }
    }
}

impl From<AnswerForm> for Answer {
    fn from(form: AnswerForm) -> Answer {
        match form {
            AnswerForm::Accepted { config } => Answer::Accepted { config },
            AnswerForm::Told(fact) => Answer::Told(fact),
            AnswerForm::LeftOut(count) => Answer::LeftOut(count),
            AnswerForm::Waiting => Answer::Waiting,
            AnswerForm::Finished { report, faults, gauges } => Answer::Finished { report: report.into(), faults, gauges },
            AnswerForm::Stands(result) => Answer::Stands(result.map(|orders| orders.into_iter().map(|Stands(order)| order).collect())),
            AnswerForm::Stopping => Answer::Stopping,
            AnswerForm::Refused(why) => Answer::Refused(why),
        }
    }
}

fn line(message: &impl Serialize) -> Result<Vec<u8>, ProtocolError> {
    let mut line = serde_json::to_vec(message).map_err(|error| ProtocolError::Unreadable(error.to_string()))?;
    line.push(b'\n');
    Ok(line)
}

fn message<'a, T: Deserialize<'a>>(line: &'a [u8]) -> Result<T, ProtocolError> {
    let unreadable = |error: serde_json::Error| ProtocolError::Unreadable(error.to_string());
    // The version comes first: what another one means by the rest cannot be known.
    let version: Version = serde_json::from_slice(line).map_err(unreadable)?;
    if version.snapwarden != VERSION {
        return Err(ProtocolError::Version(version.snapwarden));
    }
    serde_json::from_slice(line).map_err(unreadable)
}

/// The line of an order.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn order_line(order: &Order) -> Result<Vec<u8>, ProtocolError> {
    line(&OrderMessage { snapwarden: VERSION, order: order.into() })
}

/// The order of a line.
///
/// # Errors
/// See [`ProtocolError`].
pub fn read_order(line: &[u8]) -> Result<Order, ProtocolError> {
    message::<OrderMessage>(line)?.order.try_into()
}

/// The line of an answer.
///
/// # Errors
/// If it cannot be written as JSON.
pub fn answer_line(answer: Answer) -> Result<Vec<u8>, ProtocolError> {
    line(&AnswerMessage { snapwarden: VERSION, answer: answer.into() })
}

/// The answer of a line.
///
/// # Errors
/// See [`ProtocolError`].
pub fn read_answer(line: &[u8]) -> Result<Answer, ProtocolError> {
    Ok(message::<AnswerMessage>(line)?.answer.into())
}

#[cfg(test)]
#[path = "protocol_tests.rs"]
mod tests;
