//! The history checker finds what it is there to find: a good history made by hand, and one bad one for each rule.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Answered, Effect, EffectRecord, Item, Maker, Method, Order, Progress, RequestRecord};

use super::history::{History, Law};
use super::stage::WEB;

const LAW: Law = Law {
    owner: "prod",
    adopted: &["adopted"],
    keep: 2,
    min_keep: 1,
    snapshots_cap: 3,
    backups_cap: 3,
    request_timeout: Duration::from_secs(1),
};

/// A history that is written down step by step. A tick is ten seconds, and a place in the order.
#[derive(Default)]
struct Book {
    history: History,
    seq: u64,
    ids: u64,
}

impl Book {
    fn tick(&mut self) -> (u64, Timestamp) {
        self.seq += 1;
        (self.seq, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(10 * i64::try_from(self.seq).unwrap()))
    }

    fn request(&mut self, method: Method, path: &str, order: Option<Order>) -> &mut RequestRecord {
        let (seq, at) = self.tick();
        let kind = path.starts_with("/snapshots/").then_some(Kind::Snapshot);
        self.history.requests.push(RequestRecord {
            seq,
            at,
            method,
            path: path.to_owned(),
            query: String::new(),
            kind,
            server: order.as_ref().map(|order| order.server),
            order,
            authorized: true,
            fault: None,
            answered: Answered::Pending,
            answered_seq: None,
        });
        self.history.requests.last_mut().unwrap()
    }

    fn answer(&mut self, answered: Answered) {
        let (seq, _) = self.tick();
        let request = self.history.requests.last_mut().unwrap();
        (request.answered, request.answered_seq) = (answered, Some(seq));
    }

    fn list(&mut self) {
        self.request(Method::GET, "/snapshots/", None);
        self.answer(Answered::Status(200));
    }

    fn effect(&mut self, request: Option<u64>, effect: Effect) {
        let (seq, at) = self.tick();
        self.history.effects.push(EffectRecord { seq, at, request, effect });
    }

    fn send(&mut self, slot: &str) -> u64 {
        let order = Order { kind: Kind::Snapshot, server: WEB, name: Some(slot.into()), description: mark(slot).into() };
        self.request(Method::POST, "/snapshots/", Some(order)).seq
    }

    fn made(&mut self, item: Item, by: Maker, request: Option<u64>) -> Item {
        self.ids += 1;
        let item = Item { id: ItemId(self.ids), ..item };
        self.effect(request, Effect::Created { item: item.clone(), by, used: 0 });
        item
    }

    fn by_hand(&mut self, name: &str) -> Item {
        let (_, at) = self.tick();
        self.made(Item::completed(Kind::Snapshot, WEB, at).named(name), Maker::Hand, None)
    }

    /// An order that is taken and ends so.
    fn create(&mut self, slot: &str, end: Progress) -> Item {
        self.list();
        let request = self.send(slot);
        let (_, at) = self.tick();
        let begun = Item::completed(Kind::Snapshot, WEB, at).described(&mark(slot)).progressed(Progress::InProgress);
        let begun = self.made(begun, Maker::Api, Some(request));
        self.answer(Answered::Status(201));
        let ended = Item { progress: end, ..begun };
        if ended.progress != Progress::InProgress {
            self.effect(None, Effect::Ended { item: ended.clone() });
        }
        ended
    }

    fn complete(&mut self, slot: &str) -> Item {
        self.create(slot, Progress::Completed)
    }

    fn delete(&mut self, item: &Item) {
        self.list();
        let request = self.request(Method::DELETE, &format!("/snapshots/{}/", item.id), None);
        request.server = Some(WEB);
        let seq = request.seq;
        self.effect(Some(seq), Effect::Deleted { item: item.clone(), by: Maker::Api });
        self.answer(Answered::Status(204));
    }

    /// Exactly these rules are broken, each once or more.
    #[track_caller]
    fn breaks(&self, rules: &[&str]) {
        let breaches = self.history.breaches(&LAW);
        let mut found: Vec<&str> = breaches.iter().map(|breach| breach.split([' ', ':']).next().unwrap()).collect();
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, rules, "{breaches:#?}");
    }
}

fn mark(slot: &str) -> String {
    format!("snapwarden owner=prod policy=web slot={slot}")
}

#[test]
fn a_good_history_has_no_breach() {
    let mut book = Book::default();
    let adopted = book.by_hand("adopted");
    let (first, second) = (book.complete("1"), book.complete("2"));
    book.delete(&adopted);
    book.complete("3");
    book.delete(&first);
    let failed = book.create("4", Progress::Failed);
    book.delete(&failed);
    book.complete("4");
    book.delete(&second);
    book.breaks(&[]);
    let newest = book.history.newest_restore_point(&LAW, WEB, Kind::Snapshot);
    assert!(newest > Some(second.created_at));
    assert_eq!(book.history.newest_restore_point(&LAW, ServerId(9), Kind::Snapshot), None);
}

#[test]
fn i1_what_others_made_and_what_is_not_settled_stays() {
    for name in ["theirs", "adopted"] {
        let mut book = Book::default();
        let item = book.by_hand(name);
        book.complete("1");
        book.delete(&item);
        book.breaks(if name == "theirs" { &["I1"] } else { &[] });
    }
    let mut book = Book::default();
    book.complete("1");
    let unfinished = book.create("2", Progress::InProgress);
    book.delete(&unfinished);
    book.breaks(&["I1"]);
}

#[test]
fn i1_a_number_that_never_was() {
    let mut book = Book::default();
    book.request(Method::DELETE, "/snapshots/77/", None);
    book.breaks(&["I1"]);
}

#[test]
fn i2_and_i3_the_last_and_the_newest_stay() {
    let mut book = Book::default();
    let only = book.complete("1");
    book.by_hand("theirs");
    book.delete(&only);
    book.breaks(&["I2", "I3"]);
    let mut book = Book::default();
    book.complete("1");
    let newest = book.complete("2");
    book.create("3", Progress::Failed);
    book.delete(&newest);
    book.breaks(&["I3"]);
}

#[test]
fn a_delete_that_was_only_sent_is_judged_too() {
    let mut book = Book::default();
    let only = book.complete("1");
    book.request(Method::DELETE, &format!("/snapshots/{}/", only.id), None);
    book.answer(Answered::Cut);
    book.breaks(&["I2", "I3"]);
}

#[test]
fn i5_room_is_made_once_for_a_completed_create() {
    for end in [Progress::Completed, Progress::Failed] {
        let mut book = Book::default();
        let (first, second) = (book.complete("1"), book.complete("2"));
        book.by_hand("theirs");
        book.delete(&first);
        let third = book.create("3", end.clone());
        if end == Progress::Failed {
            book.delete(&third);
            book.breaks(&["I5"]);
        } else {
            book.delete(&second);
            book.breaks(&[]);
        }
    }
}

/// An order whose answer never came, an item that never appeared, some listings, and the same order again.
fn ordered_again(listings: usize) -> Book {
    let mut book = Book::default();
    book.list();
    book.send("1");
    book.answer(Answered::Cut);
    for _ in 0..listings {
        book.list();
    }
    book.send("1");
    book
}

#[test]
fn i7_what_is_not_proved_absent_is_not_ordered_again() {
    ordered_again(1).breaks(&["I7"]);
    ordered_again(2).breaks(&[]);
    let mut early = ordered_again(2);
    early.history.requests[1].at = early.history.requests[3].at;
    early.breaks(&["I7"]);
    let mut refused = ordered_again(1);
    refused.history.requests[1].answered = Answered::Status(400);
    refused.breaks(&[]);
}

#[test]
fn i7_three_orders_are_enough() {
    let mut book = Book::default();
    for _ in 1..=4 {
        book.breaks(&[]);
        book.list();
        book.send("1");
        book.answer(Answered::Status(400));
    }
    book.breaks(&["I7"]);
}

#[test]
fn i9_a_full_shelf_was_seen_or_nothing_was() {
    let mut book = Book::default();
    for name in ["a", "b", "c"] {
        book.by_hand(name);
    }
    book.list();
    book.list();
    book.send("1");
    book.breaks(&["I9"]);
    let mut book = Book::default();
    book.complete("1");
    book.send("2");
    book.breaks(&["I9"]);
    let mut book = Book::default();
    book.list();
    book.history.requests[0].answered = Answered::Status(503);
    book.send("1");
    book.breaks(&["I9"]);
}

#[test]
fn i12_a_slot_has_one_item() {
    let mut book = Book::default();
    book.complete("1");
    book.complete("1");
    book.breaks(&["I12", "I7"]);
    let mut late = ordered_again(2);
    let (_, at) = late.tick();
    let item = Item::completed(Kind::Snapshot, WEB, at).described(&mark("1"));
    late.made(item.clone(), Maker::Api, None);
    let second = late.history.requests.last().unwrap().seq;
    late.made(item, Maker::Api, Some(second));
    late.breaks(&[]);
}

#[test]
fn i14_only_three_calls_and_never_a_restore() {
    let calls = [
        (Method::POST, "/snapshots/1/restore/"),
        (Method::POST, "/servers/1/restore/"),
        (Method::PUT, "/snapshots/1/"),
        (Method::GET, "/users/"),
    ];
    for (method, path) in calls {
        let mut book = Book::default();
        book.request(method, path, None);
        book.breaks(&["I14"]);
    }
    let mut book = Book::default();
    book.list();
    book.history.requests[0].authorized = false;
    book.breaks(&["I14"]);
    let mut book = Book::default();
    book.effect(None, Effect::RestoreBegun { server: WEB, kind: Kind::Snapshot, id: ItemId(1) });
    book.breaks(&["I14"]);
}
