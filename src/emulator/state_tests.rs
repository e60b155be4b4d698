//! The rules of the emulated account, on made-up time.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::inventory::{ItemId, Kind, ServerId};

const SERVER: ServerId = ServerId(7);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn account() -> Account {
    let mut account = Account::new(Rules::default().everything_takes(Duration::from_secs(10)));
    account.add_server(Server::active(7, "web"), at(0));
    account
}

fn order(kind: Kind) -> Order {
    Order { kind, server: SERVER, name: Some("n".into()), description: "".into() }
}

fn ends(end: Progress) -> Fate {
    Fate { after: None, end }
}

#[test]
fn items_complete_when_their_time_has_come() {
    let mut account = account();
    let id = account.create(&order(Kind::Snapshot), &Fate::default(), at(100)).unwrap().id;
    account.advance(at(109));
    assert_eq!(account.item(Kind::Snapshot, id).unwrap().progress, Progress::InProgress);
    account.advance(at(110));
    let item = account.item(Kind::Snapshot, id).unwrap();
    assert_eq!((&item.progress, item.size_mb.is_some()), (&Progress::Completed, true));
    assert_eq!(account.next_due(), None);
}

#[test]
fn failed_and_endless_items_fill_slots_and_automatic_ones_do_not() {
    let mut account = account();
    for day in 0..12 {
        account.add_item(Item::automatic(SERVER, at(day), Duration::from_secs(1000)), at(20));
    }
    for fate in [ends(Progress::Failed), ends(Progress::InProgress)].iter().cycle().take(10) {
        account.create(&order(Kind::Backup), fate, at(20)).unwrap();
    }
    account.advance(at(100));
    let refused = account.create(&order(Kind::Backup), &Fate::default(), at(100));
    assert_eq!(refused, Err(Refusal::CapReached { kind: Kind::Backup, cap: 10 }));
    let failed = account.items(Kind::Backup).find(|item| item.progress == Progress::Failed).unwrap().id;
    account.delete(Kind::Backup, failed, at(100)).unwrap();
    assert!(account.create(&order(Kind::Backup), &Fate::default(), at(100)).is_ok());
    assert_eq!(account.used(Kind::Snapshot, SERVER), 0);
}

#[test]
fn late_orders_are_refused_like_others() {
    let mut account = account();
    for _ in 0..5 {
        account.create(&order(Kind::Snapshot), &Fate::default(), at(0)).unwrap();
    }
    account.create_later(order(Kind::Snapshot), Fate::default(), at(5));
    account.advance(at(6));
    assert_eq!(account.used(Kind::Snapshot, SERVER), 5);
    let refused = |(when, effect): &(Timestamp, Effect)| *when == at(5) && matches!(effect, Effect::Refused { .. });
    assert!(account.take_effects().iter().any(refused));
}

#[test]
fn automatic_backups_come_and_go_by_the_plan() {
    let plan = AutomaticBackups { every: Duration::from_secs(10), keep: Duration::from_secs(25) };
    let mut account = Account::new(Rules { automatic_backups: Some(plan), ..Rules::default() });
    account.add_server(Server::active(7, "web"), at(0));
    account.advance(at(60));
    let born: Vec<i64> = account.list(Kind::Backup, None, View::Present).iter().map(|seen| seen.item.created_at.as_second()).collect();
    assert_eq!(born.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([40, 50, 60]));
    account.remove_server(SERVER);
    account.advance(at(1000));
    assert_eq!(account.items(Kind::Backup).count(), 0);
    assert_eq!(account.next_due(), None);
}

#[test]
fn a_restore_needs_a_completed_item_of_that_server_and_ends() {
    let mut account = account();
    account.add_server(Server::active(8, "other"), at(0));
    let unfinished = account.create(&order(Kind::Backup), &Fate::default(), at(0)).unwrap().id;
    let good = account.add_item(Item::completed(Kind::Backup, SERVER, at(0)), at(0));
    let refused = |account: &mut Account, id, server| account.restore(Kind::Backup, id, Some(ServerId(server)), at(1)).unwrap_err();
    assert_eq!(refused(&mut account, unfinished, 7), Refusal::NotRestorable);
    assert_eq!(refused(&mut account, good, 8), Refusal::UnknownItem(Kind::Backup));
    account.restore(Kind::Backup, good, Some(SERVER), at(1)).unwrap();
    assert_eq!(refused(&mut account, good, 7), Refusal::NotRestorable);
    account.advance(at(11));
    assert_eq!(account.server(SERVER).unwrap().status, "active");
}

#[test]
fn the_past_can_be_listed() {
    let mut account = account();
    let id = account.create(&order(Kind::Snapshot), &Fate::default(), at(100)).unwrap().id;
    account.advance(at(110));
    account.delete(Kind::Snapshot, id, at(120)).unwrap();
    let seen = |second| account.list(Kind::Snapshot, Some(SERVER), View::AsOf(at(second))).first().map(|seen| seen.progress.clone());
    assert_eq!(seen(99), None);
    assert_eq!(seen(100), Some(Progress::InProgress));
    assert_eq!(seen(110), Some(Progress::Completed));
    assert_eq!(seen(120), None);
    assert_eq!(account.list(Kind::Snapshot, None, account.view_before_last_write()).len(), 1);
}

#[test]
fn numbers_can_be_in_order_of_time() {
    let ids = |scattered_ids| -> Vec<u64> {
        let mut account = Account::new(Rules { scattered_ids, ..Rules::default() });
        (0..4).map(|second| account.add_item(Item::completed(Kind::Backup, SERVER, at(second)), at(9)).0).collect()
    };
    assert_eq!(ids(false), [501, 502, 503, 504]);
    assert_eq!(ids(true), [508, 507, 506, 505]);
}

#[derive(Debug, Clone)]
enum Step {
    Create(bool, u8),
    Delete(bool, prop::sample::Index),
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (any::<bool>(), 0..4_u8).prop_map(|(snapshot, fate)| Step::Create(snapshot, fate)),
        (any::<bool>(), any::<prop::sample::Index>()).prop_map(|(snapshot, which)| Step::Delete(snapshot, which)),
        any::<u8>().prop_map(Step::Wait),
    ]
}

fn kind(snapshot: bool) -> Kind {
    if snapshot { Kind::Snapshot } else { Kind::Backup }
}

fn fate(number: u8) -> Fate {
    let end = [Progress::Completed, Progress::Failed, Progress::InProgress, Progress::Word("odd".to_owned())];
    ends(end[usize::from(number)].clone())
}

proptest! {
    /// Whatever clients do: no cap is passed, no number is given twice, and the effects tell exactly what is there.
    #[test]
    fn effects_add_up_to_the_account(steps in prop::collection::vec(step(), 0..60)) {
        let mut account = account();
        let mut second = 0;
        for step in steps {
            account.advance(at(second));
            match step {
                Step::Create(snapshot, number) => drop(account.create(&order(kind(snapshot)), &fate(number), at(second))),
                Step::Delete(snapshot, which) => {
                    let ids: Vec<ItemId> = account.items(kind(snapshot)).map(|item| item.id).collect();
                    if !ids.is_empty() {
                        account.delete(kind(snapshot), *which.get(&ids), at(second)).unwrap();
                    }
                }
                Step::Wait(seconds) => second += i64::from(seconds),
            }
            prop_assert!(account.used(Kind::Snapshot, SERVER) <= 5 && account.used(Kind::Backup, SERVER) <= 10);
        }
        let mut told: BTreeSet<(Kind, ItemId)> = BTreeSet::new();
        let mut ever = BTreeSet::new();
        for (_, effect) in account.take_effects() {
            match effect {
                Effect::Created { item, .. } => {
                    prop_assert!(ever.insert((item.kind, item.id)));
                    told.insert((item.kind, item.id));
                }
                Effect::Deleted { item, .. } => prop_assert!(told.remove(&(item.kind, item.id))),
                _ => {}
            }
        }
        let there: BTreeSet<_> = Kind::ALL.iter().flat_map(|kind| account.items(*kind)).map(|item| (item.kind, item.id)).collect();
        prop_assert_eq!(told, there);
    }
}

#[test]
fn what_was_ended_by_hand_stays_so() {
    let mut account = account();
    let id = account.create(&order(Kind::Snapshot), &Fate::default(), at(0)).unwrap().id;
    assert!(account.end_by_hand(Kind::Snapshot, id, Progress::Failed, at(10)));
    account.advance(at(3600));
    assert_eq!(account.item(Kind::Snapshot, id).unwrap().progress, Progress::Failed);
}
