//! Records for tests.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::Origin;
use crate::domain::policy::Hook;
use crate::domain::policy_text::PolicyText;
use crate::domain::problem::{Problem, Reason, RunResult};
use crate::domain::standing::{HeldItem, Selection, Standing, StandingOrder};

/// So many seconds after some day.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + seconds).unwrap()
}

pub(super) fn subject(server: u64) -> Subject {
    Subject { server: ServerId(server), server_name: format!("web-{server}").into(), kind: Kind::Snapshot, policy: "web".into() }
}

pub(super) fn create(op: u64, server: u64, seconds: i64) -> Record {
    Record::CreateIntent(
        CreateIntent {
            op: OpId(op),
            run: RunId(op),
            subject: subject(server),
            origin: Origin::Slot { policy: "web".into(), slot: at(seconds) },
            name: Some("prod-web-20261121T033000Z".into()),
            description: "snapwarden owner=prod policy=web slot=2026-11-21T03:30:00Z".into(),
            attempt: 1,
            at: at(seconds),
            config: "c0ffee".into(),
            policy_text: Some(policy(op).digest()),
        }
        .into(),
    )
}

pub(super) fn delete(op: u64, server: u64, item: u64, when: DeleteWhen, seconds: i64) -> Record {
    Record::DeleteIntent(
        DeleteIntent {
            op: OpId(op),
            run: RunId(op),
            subject: subject(server),
            item: ItemId(item),
            item_name: Some("prod-web-20261101T033000Z".into()),
            item_created_at: at(seconds - 86_400),
            newest_created_at: Some(at(seconds - 86_400)),
            when,
            extra: false,
            reason: "no rule keeps it".into(),
            at: at(seconds),
            config: "c0ffee".into(),
            policy_text: Some(policy(op).digest()),
        }
        .into(),
    )
}

/// The text of the policy that an operation is decided by; several have the same.
pub(super) fn policy(op: u64) -> PolicyText {
    PolicyText::new(format!("policies:\n  web: {{keep: {}, \"ä\"}}\n", op % 5))
}

pub(super) fn policy_text(op: u64) -> Record {
    Record::PolicyText(policy(op).into())
}

pub(super) fn accepted(op: u64, item: u64, seconds: i64) -> Record {
    Record::CreateAccepted { op: OpId(op), item: ItemId(item), at: at(seconds) }
}

pub(super) fn completed(op: u64, seconds: i64) -> Record {
    Record::CreateCompleted { op: OpId(op), at: at(seconds) }
}

pub(super) fn create_ended(op: u64, how: CreateEnd, seconds: i64) -> Record {
    Record::CreateEnded { op: OpId(op), how, error: Some("no".into()), at: at(seconds) }
}

pub(super) fn delete_ended(op: u64, how: DeleteEnd, seconds: i64) -> Record {
    Record::DeleteEnded { op: OpId(op), how, error: None, at: at(seconds) }
}

pub(super) fn gone(item: u64, ours: bool, seconds: i64) -> Record {
    Record::ItemGone { server: ServerId(1), kind: Kind::Snapshot, item: ItemId(item), ours, at: at(seconds) }
}

pub(super) fn run_started(run: u64, server: u64, seconds: i64) -> Record {
    let slot = Some(at(seconds));
    let by = run.is_multiple_of(2).then(|| "änne".into());
    Record::RunStarted(RunStart { run: RunId(run), subject: subject(server), trigger: Trigger::Schedule, by, slot, at: at(seconds) }.into())
}

pub(super) fn run_ended(run: u64, result: RunResult, seconds: i64) -> Record {
    let problems = vec![
        Problem { reason: Reason::CapFull, detail: "5 of 5 slots are used, \"all\" by others\n".to_owned() },
        Problem { reason: Reason::Stuck, detail: String::new() },
    ];
    Record::RunEnded { run: RunId(run), result, problems, error: Some("ä".into()), at: at(seconds) }
}

pub(super) fn missed(server: u64, slot: i64, seconds: i64) -> Record {
    Record::SlotsMissed(SlotsMissed { subject: subject(server), slot: at(slot), count: 3, at: at(seconds) }.into())
}

pub(super) fn hooks_begun(op: u64, server: u64, seconds: i64) -> Record {
    let run = vec!["/usr/local/bin/thaw".to_owned(), "ä \"b\"\n".to_owned(), String::new()];
    Record::HooksBegun(
        HooksBegun {
            op: OpId(op),
            run: RunId(op),
            subject: subject(server),
            slot: Some(at(seconds)),
            name: "prod-web-20261121T033000Z".into(),
            after: (!op.is_multiple_of(3)).then_some(Hook { run, timeout: std::time::Duration::from_millis(60_001) }),
            at: at(seconds),
        }
        .into(),
    )
}

pub(super) fn hooks_ended(op: u64, seconds: i64) -> Record {
    Record::HooksEnded { op: OpId(op), error: op.is_multiple_of(2).then(|| "exit status 1".into()), at: at(seconds) }
}

pub(super) fn ordered(op: u64, what: Standing, seconds: i64, until: i64) -> Record {
    let (reason, by) = ("storage is moved, \"all\" of it".into(), "änne".into());
    Record::Ordered(StandingOrder { op: OpId(op), what, until: at(until), reason, by, at: at(seconds) }.into())
}

/// A hold of a snapshot, for 100 s.
pub(super) fn hold(op: u64, item: u64, server: u64, seconds: i64) -> Record {
    let name = (!item.is_multiple_of(2)).then(|| "prod-web-20261101T033000Z".into());
    let (server, server_name) = (ServerId(server), format!("web-{server}").into());
    ordered(op, Standing::Hold(HeldItem { kind: Kind::Snapshot, item: ItemId(item), name, server, server_name }), seconds, seconds + 100)
}

fn any_standing() -> impl Strategy<Value = Standing> {
    let names = || prop::collection::vec(prop::sample::select(vec![Box::<str>::from("web-*"), "1".into(), "db".into()]), 0..3);
    let selection = (names(), names(), prop::collection::vec(prop::sample::select(&Kind::ALL[..]), 0..2));
    let selection = selection.prop_map(|(servers, policies, kinds)| Selection { servers, policies, kinds });
    let held = (1..8_u64, 1..3_u64, prop::sample::select(&Kind::ALL[..])).prop_map(|(item, server, kind)| {
        let Record::Ordered(order) = hold(1, item, server, 0) else { unreachable!() };
        let Standing::Hold(held) = order.what else { unreachable!() };
        HeldItem { kind, ..held }
    });
    prop_oneof![
        selection.clone().prop_map(Standing::Pause),
        selection.prop_map(Standing::Resume),
        held.clone().prop_map(Standing::Hold),
        held.prop_map(Standing::Release),
        (1..3_u64).prop_map(|server| Standing::Deletes { server: ServerId(server) }),
        (1..3_u64).prop_map(|server| Standing::NoDeletes { server: ServerId(server), server_name: format!("web-{server}").into() }),
    ]
}

/// Any record, out of so few operations, items and servers that they meet. Times step back and forth.
pub(super) fn any_record() -> impl Strategy<Value = Record> {
    let (op, item, server, seconds) = (1..12_u64, 1..8_u64, 1..3_u64, -1000..1000_i64);
    let kind = prop::sample::select(&Kind::ALL[..]);
    let numbers = (op, item, server, seconds);
    prop_oneof![
        4 => (numbers.clone(), any_origin(), kind.clone()).prop_map(|((op, _, server, seconds), origin, kind)| {
            let Record::CreateIntent(intent) = create(op, server, seconds) else { unreachable!() };
            Record::CreateIntent(CreateIntent { origin, subject: Subject { kind, ..intent.subject.clone() }, ..(*intent).clone() }.into())
        }),
        3 => (numbers.clone(), prop::sample::select(DeleteWhen::ALL), kind.clone()).prop_map(|((op, item, server, seconds), when, kind)| {
            let Record::DeleteIntent(intent) = delete(op, server, item, when, seconds) else { unreachable!() };
            Record::DeleteIntent(DeleteIntent { extra: item % 2 == 0, subject: Subject { kind, ..intent.subject.clone() }, ..(*intent).clone() }.into())
        }),
        4 => numbers.clone().prop_map(|(op, item, _, seconds)| accepted(op, item, seconds)),
        4 => numbers.clone().prop_map(|(op, _, _, seconds)| completed(op, seconds)),
        1 => (numbers.clone(), prop::sample::select(CreateEnd::ALL)).prop_map(|((op, .., seconds), how)| create_ended(op, how, seconds)),
        3 => (numbers.clone(), prop::sample::select(DeleteEnd::ALL)).prop_map(|((op, .., seconds), how)| delete_ended(op, how, seconds)),
        2 => (numbers.clone(), any::<bool>(), kind.clone())
            .prop_map(|((_, item, server, seconds), ours, kind)| Record::ItemGone {
                server: ServerId(server),
                kind,
                item: ItemId(item),
                ours,
                at: at(seconds),
            }),
        3 => numbers.clone().prop_map(|(op, _, server, seconds)| run_started(op, server, seconds)),
        3 => (numbers.clone(), prop::sample::select(RunResult::ALL)).prop_map(|((op, .., seconds), result)| run_ended(op, result, seconds)),
        1 => (numbers.clone(), kind)
            .prop_map(|((_, _, server, seconds), kind)| Record::TargetSeen { server: ServerId(server), kind, at: at(seconds) }),
        3 => (1..12_u64).prop_map(policy_text),
        2 => numbers.clone().prop_map(|(op, _, server, seconds)| hooks_begun(op, server, seconds)),
        2 => numbers.clone().prop_map(|(op, _, _, seconds)| hooks_ended(op, seconds)),
        3 => (numbers.clone(), any_standing(), 1..500_i64)
            .prop_map(|((op, .., seconds), what, lasts)| ordered(op, what, seconds, seconds + lasts)),
        1 => numbers.prop_map(|(_, item, server, seconds)| missed(server, i64::try_from(item).unwrap(), seconds)),
    ]
}

fn any_origin() -> impl Strategy<Value = Origin> {
    prop_oneof![
        3 => (0..5_i64).prop_map(|slot| Origin::Slot { policy: "web".into(), slot: at(slot) }),
        1 => (0..5_i64).prop_map(|seconds| Origin::Hand { at: at(seconds) }),
    ]
}

/// A folder in memory where the system has one: a test that commits thousands of times need not wait for a disk.
pub(super) fn quick_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}
