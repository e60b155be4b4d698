//! Which columns a row has. Nothing else knows them but the schema and the conditions of `select`.

use std::sync::Arc;
use std::time::Duration;

use super::super::JournalError;
use super::super::rows::{CreateRow, CreateState, DeleteRow, DeleteState, Ended, Gone, HooksRow, OrderRow, RunEnd, RunRow, TargetRow};
use super::cells::{Cells, Stored, Table, Values};
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::Origin;
use crate::domain::policy::Hook;
use crate::domain::policy_text::{PolicyText, TextDigest};
use crate::domain::problem::{Problem, Reason, RunResult};
use crate::domain::record::{CreateIntent, DeleteIntent, DeleteWhen, HooksBegun, OpId, RunId, RunStart, SlotsMissed, Subject, Trigger};
use crate::domain::standing::{HeldItem, Selection, Standing, StandingOrder};

impl Stored for CreateRow {
    const TABLE: Table = Table {
        name: "creates",
        columns: "op, seq, run, server, server_name, kind, policy, slot_policy, slot, hand_at, name, description, attempt, at, config, \
                  state, item, accepted_at, ended_seq, ended_at, error, gone_at, gone_by_us, policy_text",
    };

    fn write(&self, cells: &mut Cells) {
        let intent = &self.intent;
        cells.number(intent.op.0);
        cells.number(self.seq);
        cells.number(intent.run.0);
        write_subject(cells, &intent.subject);
        write_origin(cells, &intent.origin);
        cells.text_or_null(intent.name.as_deref());
        cells.text(&intent.description);
        cells.number(intent.attempt.into());
        cells.time(intent.at);
        cells.text(&intent.config);
        cells.text(self.state.as_str());
        cells.number_or_null(self.item.map(|item| item.0));
        cells.time_or_null(self.accepted_at);
        write_ended(cells, self.ended.as_ref());
        cells.time_or_null(self.gone.map(|gone| gone.at));
        cells.flag_or_null(self.gone.map(|gone| gone.ours));
        write_digest(cells, intent.policy_text);
    }

    fn read(values: &mut Values) -> Result<CreateRow, JournalError> {
        let op = OpId(values.number()?);
        let seq = values.number()?;
        let mut intent = CreateIntent {
            op,
            run: RunId(values.number()?),
            subject: read_subject(values)?,
            origin: read_origin(values)?,
            name: values.text_or_null()?.map(Into::into),
            description: values.text()?.into(),
            attempt: values.small_number()?,
            at: values.time()?,
            config: values.text()?.into(),
            policy_text: None,
        };
        let state = values.word(CreateState::from_word)?;
        let (item, accepted_at) = (values.number_or_null()?.map(ItemId), values.time_or_null()?);
        let ended = read_ended(values)?;
        let gone = values.time_or_null()?.zip(values.flag_or_null()?).map(|(at, ours)| Gone { at, ours });
        intent.policy_text = read_digest(values)?;
        Ok(CreateRow { intent: intent.into(), seq, state, item, accepted_at, ended, gone })
    }
}

impl Stored for DeleteRow {
    const TABLE: Table = Table {
        name: "deletes",
        columns: "op, seq, run, server, server_name, kind, policy, item, item_name, item_created_at, due, extra, reason, at, config, \
                  state, ended_seq, ended_at, error, policy_text, newest_created_at",
    };

    fn write(&self, cells: &mut Cells) {
        let intent = &self.intent;
        cells.number(intent.op.0);
        cells.number(self.seq);
        cells.number(intent.run.0);
        write_subject(cells, &intent.subject);
        cells.number(intent.item.0);
        cells.text_or_null(intent.item_name.as_deref());
        cells.time(intent.item_created_at);
        cells.text(intent.when.as_str());
        cells.number(intent.extra.into());
        cells.text(&intent.reason);
        cells.time(intent.at);
        cells.text(&intent.config);
        cells.text(self.state.as_str());
        write_ended(cells, self.ended.as_ref());
        write_digest(cells, intent.policy_text);
        cells.time_or_null(intent.newest_created_at);
    }

    fn read(values: &mut Values) -> Result<DeleteRow, JournalError> {
        let op = OpId(values.number()?);
        let seq = values.number()?;
        let mut intent = DeleteIntent {
            op,
            run: RunId(values.number()?),
            subject: read_subject(values)?,
            item: ItemId(values.number()?),
            item_name: values.text_or_null()?,
            item_created_at: values.time()?,
            newest_created_at: None,
            when: values.word(DeleteWhen::from_word)?,
            extra: values.flag()?,
            reason: values.text()?,
            at: values.time()?,
            config: values.text()?.into(),
            policy_text: None,
        };
        let (state, ended) = (values.word(DeleteState::from_word)?, read_ended(values)?);
        intent.policy_text = read_digest(values)?;
        intent.newest_created_at = values.time_or_null()?;
        Ok(DeleteRow { intent: intent.into(), seq, state, ended })
    }
}

impl Stored for RunRow {
    const TABLE: Table = Table {
        name: "runs",
        columns: "run, seq, server, server_name, kind, policy, cause, slot, at, ended_seq, ended_at, error, result, problems, asked_by",
    };

    fn write(&self, cells: &mut Cells) {
        cells.number(self.start.run.0);
        cells.number(self.seq);
        write_subject(cells, &self.start.subject);
        cells.text(self.start.trigger.as_str());
        cells.time_or_null(self.start.slot);
        cells.time(self.start.at);
        let end = self.ended.as_ref();
        cells.number_or_null(end.map(|end| end.seq));
        cells.time_or_null(end.map(|end| end.at));
        cells.text_or_null(end.and_then(|end| end.error.as_deref()));
        cells.text_or_null(end.map(|end| end.result.as_str()));
        cells.text_or_null(end.map(|end| problems_text(&end.problems)).as_deref());
        cells.text_or_null(self.start.by.as_deref());
    }

    fn read(values: &mut Values) -> Result<RunRow, JournalError> {
        let run = RunId(values.number()?);
        let seq = values.number()?;
        let subject = read_subject(values)?;
        let trigger = values.word(Trigger::from_word)?;
        let (slot, at) = (values.time_or_null()?, values.time()?);
        let ended = read_run_end(values)?;
        let start = RunStart { run, subject, trigger, by: values.text_or_null()?, slot, at };
        Ok(RunRow { start: start.into(), seq, ended })
    }
}

impl Stored for HooksRow {
    const TABLE: Table = Table {
        name: "hooks",
        columns: "op, seq, run, server, server_name, kind, policy, slot, name, after, after_timeout, at, ended_seq, ended_at, error",
    };

    fn write(&self, cells: &mut Cells) {
        let begun = &self.begun;
        cells.number(begun.op.0);
        cells.number(self.seq);
        cells.number(begun.run.0);
        write_subject(cells, &begun.subject);
        cells.time_or_null(begun.slot);
        cells.text(&begun.name);
        cells.text_or_null(begun.after.as_ref().map(|hook| serde_json::json!(hook.run).to_string()).as_deref());
        // Longer than centuries is as good as for ever.
        cells.number_or_null(begun.after.as_ref().map(|hook| u64::try_from(hook.timeout.as_nanos()).unwrap_or(u64::MAX)));
        cells.time(begun.at);
        write_ended(cells, self.ended.as_ref());
    }

    fn read(values: &mut Values) -> Result<HooksRow, JournalError> {
        let op = OpId(values.number()?);
        let seq = values.number()?;
        let begun = HooksBegun {
            op,
            run: RunId(values.number()?),
            subject: read_subject(values)?,
            slot: values.time_or_null()?,
            name: values.text()?,
            after: read_hook(values)?,
            at: values.time()?,
        };
        Ok(HooksRow { begun, seq, ended: read_ended(values)? })
    }
}

fn read_hook(values: &mut Values) -> Result<Option<Hook>, JournalError> {
    match (values.text_or_null()?, values.number_or_null()?) {
        (None, None) => Ok(None),
        (Some(run), Some(timeout)) => {
            let run = serde_json::from_str(&run).map_err(|_| values.wrong("a hook is no list of texts"))?;
            Ok(Some(Hook { run, timeout: Duration::from_nanos(timeout) }))
        }
        _ => Err(values.wrong("half a hook")),
    }
}

impl Stored for OrderRow {
    const TABLE: Table = Table {
        name: "orders",
        columns: "op, seq, what, server, server_name, kind, item, item_name, servers, policies, kinds, until, reason, ordered_by, at",
    };

    fn write(&self, cells: &mut Cells) {
        let order = &self.order;
        cells.number(order.op.0);
        cells.number(self.seq);
        cells.text(order.what.as_str());
        let (server, held, selection) = match &order.what {
            Standing::Pause(selection) | Standing::Resume(selection) => (None, None, Some(selection)),
            Standing::Hold(held) | Standing::Release(held) => (Some((held.server, Some(&held.server_name))), Some(held), None),
            Standing::NoDeletes { server, server_name } => (Some((*server, Some(server_name))), None, None),
            Standing::Deletes { server } => (Some((*server, None)), None, None),
        };
        cells.number_or_null(server.map(|(id, _)| id.0));
        cells.text_or_null(server.and_then(|(_, name)| name).map(|name| &**name));
        cells.text_or_null(held.map(|held| held.kind.as_str()));
        cells.number_or_null(held.map(|held| held.item.0));
        cells.text_or_null(held.and_then(|held| held.name.as_deref()));
        cells.text_or_null(selection.map(|selection| texts(&selection.servers)).as_deref());
        cells.text_or_null(selection.map(|selection| texts(&selection.policies)).as_deref());
        let kinds = selection.map(|selection| selection.kinds.iter().map(|kind| kind.as_str().into()).collect::<Vec<_>>());
        cells.text_or_null(kinds.map(|kinds| texts(&kinds)).as_deref());
        cells.time(order.until);
        cells.text(&order.reason);
        cells.text(&order.by);
        cells.time(order.at);
    }

    fn read(values: &mut Values) -> Result<OrderRow, JournalError> {
        let (op, seq) = (OpId(values.number()?), values.number()?);
        let what = values.text()?;
        let (id, server_name) = (values.number_or_null()?.map(ServerId), values.text_or_null()?);
        let server = id.zip(server_name);
        let (kind, item, name) = (values.text_or_null()?, values.number_or_null()?.map(ItemId), values.text_or_null()?);
        let kind = kind.as_deref().and_then(kind_from_word);
        let lists = [read_texts(values)?, read_texts(values)?, read_texts(values)?];
        let held = server.clone().zip(kind.zip(item));
        let held = held.map(|((server, server_name), (kind, item))| HeldItem { kind, item, name, server, server_name });
        let [Some(servers), Some(policies), Some(kinds)] = lists else {
            let what = match (&*what, held, server) {
                ("hold", Some(held), _) => Standing::Hold(held),
                ("release", Some(held), _) => Standing::Release(held),
                ("no_deletes", None, Some((server, server_name))) => Standing::NoDeletes { server, server_name },
                ("deletes", None, None) => Standing::Deletes { server: id.ok_or_else(|| values.wrong("no server"))? },
                _ => return Err(values.wrong("half an order")),
            };
            return read_order(values, op, seq, what);
        };
        let kinds: Option<Vec<Kind>> = kinds.iter().map(|kind| kind_from_word(kind)).collect();
        let selection = Selection { servers, policies, kinds: kinds.ok_or_else(|| values.wrong("a kind is not known"))? };
        let what = match &*what {
            "pause" => Standing::Pause(selection),
            "resume" => Standing::Resume(selection),
            _ => return Err(values.wrong("an order about nothing")),
        };
        read_order(values, op, seq, what)
    }
}

fn read_order(values: &mut Values, op: OpId, seq: u64, what: Standing) -> Result<OrderRow, JournalError> {
    let order = StandingOrder { op, what, until: values.time()?, reason: values.text()?, by: values.text()?, at: values.time()? };
    Ok(OrderRow { order, seq })
}

/// `["web-*","db-01"]`
fn texts(list: &[Box<str>]) -> String {
    serde_json::json!(list).to_string()
}

fn read_texts(values: &mut Values) -> Result<Option<Vec<Box<str>>>, JournalError> {
    let list = values.text_or_null()?.map(|text| serde_json::from_str(&text));
    list.transpose().map_err(|_| values.wrong("a selection is no list of texts"))
}

impl Stored for TargetRow {
    const TABLE: Table = Table { name: "targets", columns: "server, kind, first_seen" };

    fn write(&self, cells: &mut Cells) {
        cells.number(self.server.0);
        cells.text(self.kind.as_str());
        cells.time(self.first_seen);
    }

    fn read(values: &mut Values) -> Result<TargetRow, JournalError> {
        Ok(TargetRow { server: ServerId(values.number()?), kind: values.word(kind_from_word)?, first_seen: values.time()? })
    }
}

/// Missed slots with their place in the order in which things became durable.
pub(super) struct MissedRow {
    pub seq: u64,
    pub missed: SlotsMissed,
}

impl Stored for MissedRow {
    const TABLE: Table = Table { name: "missed", columns: "seq, server, server_name, kind, policy, slot, slots, at" };

    fn write(&self, cells: &mut Cells) {
        cells.number(self.seq);
        write_subject(cells, &self.missed.subject);
        cells.time(self.missed.slot);
        cells.number(self.missed.count);
        cells.time(self.missed.at);
    }

    fn read(values: &mut Values) -> Result<MissedRow, JournalError> {
        let seq = values.number()?;
        let missed = SlotsMissed { subject: read_subject(values)?, slot: values.time()?, count: values.number()?, at: values.time()? };
        Ok(MissedRow { seq, missed })
    }
}

/// A text of a policy with its digest.
pub(super) struct TextRow(pub Arc<PolicyText>);

impl Stored for TextRow {
    const TABLE: Table = Table { name: "policy_texts", columns: "digest, text" };

    fn write(&self, cells: &mut Cells) {
        write_digest(cells, Some(self.0.digest()));
        cells.text(self.0.text());
    }

    fn read(values: &mut Values) -> Result<TextRow, JournalError> {
        let (digest, text) = (read_digest(values)?, PolicyText::new(values.text()?));
        if digest == Some(text.digest()) { Ok(TextRow(text.into())) } else { Err(values.wrong("a digest is not that of its text")) }
    }
}

fn write_digest(cells: &mut Cells, digest: Option<TextDigest>) {
    cells.text_or_null(digest.map(|digest| digest.to_string()).as_deref());
}

fn read_digest(values: &mut Values) -> Result<Option<TextDigest>, JournalError> {
    let text = values.text_or_null()?;
    text.map(|text| TextDigest::parse(&text).ok_or_else(|| values.wrong(&format!("{text:?} is no digest")))).transpose()
}

fn write_subject(cells: &mut Cells, subject: &Subject) {
    cells.number(subject.server.0);
    cells.text(&subject.server_name);
    cells.text(subject.kind.as_str());
    cells.text(&subject.policy);
}

fn read_subject(values: &mut Values) -> Result<Subject, JournalError> {
    Ok(Subject {
        server: ServerId(values.number()?),
        server_name: values.text()?.into(),
        kind: values.word(kind_from_word)?,
        policy: values.text()?.into(),
    })
}

fn kind_from_word(word: &str) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
}

fn write_origin(cells: &mut Cells, origin: &Origin) {
    let (policy, slot, hand_at) = match origin {
        Origin::Slot { policy, slot } => (Some(policy), Some(*slot), None),
        Origin::Hand { at } => (None, None, Some(*at)),
    };
    cells.text_or_null(policy.map(|policy| &**policy));
    cells.time_or_null(slot);
    cells.time_or_null(hand_at);
}

fn read_origin(values: &mut Values) -> Result<Origin, JournalError> {
    match (values.text_or_null()?, values.time_or_null()?, values.time_or_null()?) {
        (Some(policy), Some(slot), None) => Ok(Origin::Slot { policy, slot }),
        (None, None, Some(at)) => Ok(Origin::Hand { at }),
        _ => Err(values.wrong("neither a slot nor by hand")),
    }
}

fn write_ended(cells: &mut Cells, ended: Option<&Ended>) {
    cells.number_or_null(ended.map(|ended| ended.seq));
    cells.time_or_null(ended.map(|ended| ended.at));
    cells.text_or_null(ended.and_then(|ended| ended.error.as_deref()));
}

fn read_ended(values: &mut Values) -> Result<Option<Ended>, JournalError> {
    let (seq, at, error) = (values.number_or_null()?, values.time_or_null()?, values.text_or_null()?);
    Ok(seq.zip(at).map(|(seq, at)| Ended { seq, at, error }))
}

fn read_run_end(values: &mut Values) -> Result<Option<RunEnd>, JournalError> {
    let Some(ended) = read_ended(values)? else {
        return match (values.text_or_null()?, values.text_or_null()?) {
            (None, None) => Ok(None),
            _ => Err(values.wrong("a result without an end")),
        };
    };
    let result = values.word(RunResult::from_word)?;
    let problems = values.word(problems_from_text)?;
    Ok(Some(RunEnd { seq: ended.seq, at: ended.at, result, problems, error: ended.error }))
}

/// `[["cap_full","5 of 5 slots are used"]]`
fn problems_text(problems: &[Problem]) -> String {
    let pairs = problems.iter().map(|problem| serde_json::json!([problem.reason.as_str(), problem.detail]));
    serde_json::Value::Array(pairs.collect()).to_string()
}

fn problems_from_text(text: &str) -> Option<Vec<Problem>> {
    let pairs: Vec<(String, String)> = serde_json::from_str(text).ok()?;
    pairs.into_iter().map(|(word, detail)| Some(Problem { reason: Reason::from_word(&word)?, detail })).collect()
}
