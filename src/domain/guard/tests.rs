//! Each invariant, broken by a plan made by hand.

use jiff::SignedDuration;

use super::*;
use crate::domain::assess::Why;
use crate::domain::inventory::{Kind, Listing, Opaque};
use crate::domain::mark::Mark;
use crate::domain::plan::{Allowance, before_create};
use crate::domain::record::{CreateIntent, DeleteIntent, DeleteWhen, RunId, Subject};
use crate::domain::testing::*;

/// The facts about a scene, with a listing begun at 100 s looked at 10 s later.
pub(super) fn facts<'a>(scene: &'a Scene, view: &'a View<'a>, undecided: &'a BTreeMap<OpId, Undecided>) -> Facts<'a> {
    Facts {
        wanted: &scene.wanted,
        policy: &scene.policy,
        server: SERVER,
        view,
        made: &scene.made,
        protected: &scene.protected,
        held: &scene.held,
        last_write: Some(Mono(Duration::from_secs(90))),
        undecided,
        frozen: false,
        name_agrees: true,
        restoring: false,
        room_made: scene.room_made,
        completed: scene.allowance.paid,
        owed: 0,
        deleted: 0,
        extra: 0,
        extra_last_day: scene.wanted.fuse.extra_per_day - scene.allowance.extra_day,
        now: now(),
        mono: Mono(Duration::from_secs(110)),
    }
}

/// The invariant that a plan of these actions breaks, with the facts changed.
fn broken_with<'a>(scene: &'a Scene, actions: Vec<Action>, change: impl FnOnce(&mut Facts<'a>)) -> Option<&'static str> {
    static NOTHING: BTreeMap<OpId, Undecided> = BTreeMap::new();
    // The facts may borrow what the change brings along, so the view has to live as long as the scene.
    let view: &'a View<'a> = Box::leak(Box::new(scene.inventory.of(SERVER)));
    let plan = Plan { actions, ..scene.with(|ground, _| crate::domain::plan::look(ground).into_owned()) };
    let mut facts = facts(scene, view, &NOTHING);
    change(&mut facts);
    check(&plan, &facts).err().map(|violation| violation.invariant)
}

fn broken(scene: &Scene, actions: Vec<Action>) -> Option<&'static str> {
    broken_with(scene, actions, |_| {})
}

fn delete(item: &Item, when: When) -> Action {
    Action::Delete(Deletion { item: item.clone(), when, extra: false, why: Why::Newest.into() })
}

fn extra(item: &Item, when: When) -> Action {
    Action::Delete(Deletion { item: item.clone(), when, extra: true, why: Why::Newest.into() })
}

fn prune(item: &Item) -> Vec<Action> {
    vec![delete(item, When::AfterCreate)]
}

fn room(item: &Item) -> Vec<Action> {
    vec![delete(item, When::BeforeCreate), Action::Create(order())]
}

fn five() -> Vec<Item> {
    (1..=5).map(|id| ours(id, 100 - id as i64)).collect()
}

/// Five of ours, after a create that has completed.
fn paid(items: Vec<Item>) -> Scene {
    Scene { allowance: Allowance { paid: 1, extra_run: 1, extra_day: 50 }, ..Scene::new("last=4", items) }
}

/// The first of five, changed, is to go.
fn broken_for(change: impl FnOnce(&mut Item)) -> Option<&'static str> {
    let mut items = five();
    change(&mut items[0]);
    let first = items[0].clone();
    broken(&paid(items), prune(&first))
}

#[test]
fn a_plain_plan_passes() {
    assert_eq!(broken_for(|_| {}), None);
    assert_eq!(broken(&Scene::new("last=4", five()), room(&five()[0])), None);
    assert_eq!(broken(&Scene::new("last=4", five()[..4].to_vec()), vec![Action::Create(order())]), None);
}

#[test]
fn what_passes_is_what_is_due() {
    let scene = Scene::new("last=4", five());
    let view = scene.inventory.of(SERVER);
    let plan = scene.with(|ground, _| before_create(ground, &order()).into_owned());
    let approved = check(&plan, &facts(&scene, &view, &BTreeMap::new())).unwrap();
    assert_eq!(approved.deletions().iter().map(|deletion| deletion.item.id.0).collect::<Vec<_>>(), [1]);
    assert_eq!(approved.order(), Some(&order()));
}

#[test]
fn i1_only_what_is_ours_or_adopted() {
    let text = |text: &str| broken_for(|item| item.description = text.into());
    assert_eq!(text("by a person"), Some("I1"));
    assert_eq!(text("snapwarden owner=test policy=web slot=2026-11-21T00:00:00Z"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod policy=web slot=soon"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod policy=web slot=2026-11-21T00:00:00Z and more"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod policy=web slot=2026-11-21T00:00Z"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod policy=web slot=2026-11-21T01:00:00+01:00"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod by=hand at=2026-11-01T00:00:00Z until=2027-01-01T00:00:00Z"), Some("I1"));
    assert_eq!(text("snapwarden owner=prod by=hand at=2026-11-01T00:00:00Z until=2026-11-02T00:00:00Z"), None);
    assert_eq!(text("snapwarden owner=old policy=gone slot=2026-11-21T00:00:00Z"), None);
    assert_eq!(broken_for(|item| item.automatic = true), Some("I1"));
    assert_eq!(broken_for(|item| item.status = Status::InProgress), Some("I1"));
    assert_eq!(broken_for(|item| item.status = Status::Unknown("odd".into())), Some("I1"));
    assert_eq!(broken_for(|item| item.created_at = now() + SignedDuration::from_mins(6)), Some("I1"));
}

#[test]
fn i1_adoption_needs_a_matching_name_and_no_protection() {
    let mut items = five();
    items[0] = named(foreign(1, 99), "pre-move");
    let first = items[0].clone();
    let mut scene = paid(items.clone());
    scene.policy.adopt = globs(&["pre-*"]);
    assert_eq!(broken(&scene, prune(&first)), None);
    scene.policy.protect = globs(&["*-move"]);
    assert_eq!(broken(&scene, prune(&first)), Some("I1"));
    items[0].status = Status::Failed;
    let failed = items[0].clone();
    let mut scene = paid(items);
    scene.policy.adopt = globs(&["*"]);
    assert_eq!(broken(&scene, prune(&failed)), Some("I1"), "a failed one of others");
}

#[test]
fn i1_protected_held_and_recorded() {
    let mut scene = paid(five());
    scene.protected = vec![ItemId(1)];
    assert_eq!(broken(&scene, prune(&five()[0])), Some("I1"));
    let mut scene = paid(five());
    scene.held.insert(ItemId(1), ago(-1));
    assert_eq!(broken(&scene, prune(&five()[0])), Some("I1"));
    scene.held.insert(ItemId(1), now());
    assert_eq!(broken(&scene, prune(&five()[0])), None);
    let mut items = five();
    items[0].description = "".into();
    let first = items[0].clone();
    let mut scene = paid(items);
    scene.made.insert(ItemId(1), slot_mark(ago(99)).origin);
    assert_eq!(broken(&scene, prune(&first)), None, "the journal made it");
}

#[test]
fn i2_and_i3_the_last_good_ones_stay() {
    let mut scene = paid(five()[..2].to_vec());
    assert_eq!(broken(&scene, prune(&five()[0])), None);
    assert_eq!(broken(&scene, prune(&five()[1])), Some("I3"));
    scene.policy.min_keep = 2;
    assert_eq!(broken(&scene, prune(&five()[0])), Some("I2"));
    assert_eq!(broken(&paid(five()[..1].to_vec()), prune(&five()[0])), Some("I2"));
    // What is held, protected or unfinished is no good one.
    let mut held = paid(five()[..2].to_vec());
    held.held.insert(ItemId(2), ago(-1));
    assert_eq!(broken(&held, prune(&five()[0])), Some("I2"));
    let mut protected = paid(five()[..2].to_vec());
    protected.protected = vec![ItemId(2)];
    assert_eq!(broken(&protected, prune(&five()[0])), Some("I2"));
    let unfinished = paid(vec![five()[0].clone(), with_status(five()[1].clone(), Status::InProgress)]);
    assert_eq!(broken(&unfinished, prune(&five()[0])), Some("I2"));
}

#[test]
fn i4_no_delete_on_doubt() {
    let scene = paid(five());
    let with = |change: fn(&mut Facts<'_>)| broken_with(&scene, prune(&five()[0]), change);
    assert_eq!(with(|facts| facts.mono = Mono(Duration::from_secs(160))), None);
    assert_eq!(with(|facts| facts.mono = Mono(Duration::from_secs(161))), Some("I4"));
    assert_eq!(with(|facts| facts.last_write = Some(Mono(Duration::from_secs(101)))), Some("I4"));
    assert_eq!(with(|facts| facts.name_agrees = false), Some("I4"));
    assert_eq!(with(|facts| facts.restoring = true), Some("I4"));
    assert_eq!(with(|facts| facts.frozen = true), Some("I4"));
    let mut off = paid(five());
    off.wanted.fuse.enabled = false;
    assert_eq!(broken(&off, prune(&five()[0])), Some("I4"));
    let mut hidden = paid(five());
    hidden.made.insert(ItemId(9), slot_mark(ago(9)).origin);
    assert_eq!(broken(&hidden, prune(&five()[0])), Some("I4"));
    let mut partial = paid(five());
    partial.inventory = inventory(listing_without(five(), 1), 100);
    assert_eq!(broken(&partial, prune(&five()[0])), Some("I4"));
    let opaque = Opaque { id: None, server: Some(SERVER), why: String::new() };
    partial.inventory = inventory(Listing { opaque: vec![opaque], ..listing(five()) }, 100);
    assert_eq!(broken(&partial, prune(&five()[0])), Some("I4"));
}

fn subject() -> Subject {
    Subject { server: SERVER, server_name: "".into(), kind: Kind::Snapshot, policy: "web".into() }
}

fn undecided_create(mark: &Mark) -> BTreeMap<OpId, Undecided> {
    let intent = CreateIntent {
        op: OpId(1),
        run: RunId(1),
        subject: subject(),
        origin: mark.origin.clone(),
        name: None,
        description: mark.description().into(),
        attempt: 1,
        at: now(),
        config: "".into(),
        policy_text: None,
    };
    BTreeMap::from([(OpId(1), Undecided::Create(intent.into()))])
}

#[test]
fn i4_and_i7_nothing_undecided() {
    let intent = DeleteIntent {
        op: OpId(1),
        run: RunId(1),
        subject: subject(),
        item: ItemId(2),
        item_name: None,
        item_created_at: now(),
        newest_created_at: Some(now()),
        when: DeleteWhen::AfterCreate,
        extra: false,
        reason: "".into(),
        at: now(),
        config: "".into(),
        policy_text: None,
    };
    let delete = BTreeMap::from([(OpId(1), Undecided::Delete(intent.into()))]);
    let (same, other) = (undecided_create(&slot_mark(now())), undecided_create(&slot_mark(ago(1))));
    let (scene, free) = (paid(five()), Scene::new("last=4", five()[..4].to_vec()));
    for undecided in [&delete, &same, &other] {
        assert_eq!(broken_with(&scene, prune(&five()[0]), |facts| facts.undecided = undecided), Some("I4"));
    }
    let create = || vec![Action::Create(order())];
    assert_eq!(broken_with(&free, create(), |facts| facts.undecided = &same), Some("I7"));
    assert_eq!(broken_with(&free, create(), |facts| facts.undecided = &other), None);
    assert_eq!(broken_with(&free, create(), |facts| facts.undecided = &delete), None);
}

#[test]
fn i5_one_hole() {
    let full = Scene::new("last=4", five());
    let two = vec![delete(&five()[0], When::BeforeCreate), extra(&five()[1], When::BeforeCreate), Action::Create(order())];
    assert_eq!(broken(&full, two), Some("I5"));
    let again = Scene { room_made: true, ..Scene::new("last=5", five()) };
    let extra_room = vec![extra(&five()[0], When::BeforeCreate), Action::Create(order())];
    assert_eq!(broken(&again, extra_room.clone()), Some("I5"));
    let surplus = Scene { room_made: true, ..Scene::new("last=4", five()) };
    assert_eq!(broken(&surplus, extra_room), None, "there are more than could ever be kept");
    for status in [Status::InProgress, Status::Unknown("odd".into())] {
        let mut items = five();
        items[4].status = status;
        assert_eq!(broken(&Scene::new("last=4", items), room(&five()[0])), Some("I5"));
    }
    let mut automatic = five();
    automatic[4] = Item { automatic: true, status: Status::InProgress, ..automatic[4].clone() };
    automatic.push(ours(6, 1));
    assert_eq!(broken(&Scene::new("last=4", automatic), room(&five()[0])), None, "the provider's own is not ours, whatever it carries");
    let mut failed = five();
    failed[0].status = Status::Failed;
    let again = Scene { room_made: true, ..Scene::new("last=4", failed.clone()) };
    assert_eq!(broken(&again, vec![extra(&failed[0], When::BeforeCreate), Action::Create(order())]), None);
}

#[test]
fn i5_no_room_where_a_slot_is_free() {
    let four = five()[..4].to_vec();
    assert_eq!(broken(&Scene::new("last=4", four.clone()), room(&four[0])), Some("I5"));
}

/// What a delete that was approved breaks by the time of its sending.
fn broken_again<'a>(scene: &'a Scene, action: &Action, change: impl FnOnce(&mut Facts<'a>)) -> Option<&'static str> {
    static NOTHING: BTreeMap<OpId, Undecided> = BTreeMap::new();
    let view: &'a View<'a> = Box::leak(Box::new(scene.inventory.of(SERVER)));
    let Action::Delete(deletion) = action else { panic!("no delete: {action:?}") };
    let mut facts = facts(scene, view, &NOTHING);
    change(&mut facts);
    check_again(deletion, &facts).err().map(|violation| violation.invariant)
}

#[test]
fn an_approved_delete_is_read_again_before_it_is_sent() {
    let scene = paid(five());
    let first = delete(&five()[0], When::AfterCreate);
    assert_eq!(broken_again(&scene, &first, |_| {}), None);
    assert_eq!(broken_again(&scene, &first, |facts| facts.restoring = true), Some("I4"));
    assert_eq!(broken_again(&scene, &first, |facts| facts.name_agrees = false), Some("I4"));
    assert_eq!(broken_again(&scene, &first, |facts| facts.frozen = true), Some("I4"));
    assert_eq!(broken_again(&scene, &first, |facts| facts.mono = Mono(Duration::from_secs(161))), Some("I4"));
    assert_eq!(broken_again(&scene, &first, |facts| facts.last_write = Some(Mono(Duration::from_secs(101)))), Some("I4"));
    assert_eq!(broken_again(&scene, &first, |facts| facts.protected = &[ItemId(1)]), Some("I1"));
    let other = undecided_create(&slot_mark(ago(1)));
    assert_eq!(broken_again(&scene, &first, |facts| facts.undecided = &other), Some("I4"));
    let fewer = Scene { policy: crate::domain::policy::KindPolicy { min_keep: 2, ..policy("last=4") }, ..paid(five()[..2].to_vec()) };
    assert_eq!(broken_again(&fewer, &first, |_| {}), Some("I2"));
    assert_eq!(broken_again(&paid(five()[..1].to_vec()), &first, |_| {}), Some("I2"));
    let mut changed = five();
    changed[0].description = "by a person".into();
    assert_eq!(broken_again(&paid(changed), &first, |_| {}), Some("I8"));
    let gone = Scene { made: BTreeMap::from([(ItemId(900), slot_mark(now()).origin)]), ..paid(five()) };
    assert_eq!(broken_again(&gone, &first, |_| {}), Some("I4"), "the item that was just made is not shown");
}

#[test]
fn before_it_is_sent_a_delete_still_has_its_place_and_its_share() {
    let scene = paid(five());
    let unpaid = extra(&five()[0], When::AfterCreate);
    assert_eq!(broken_again(&scene, &unpaid, |facts| facts.extra_last_day = 50), None, "it is counted itself");
    assert_eq!(broken_again(&scene, &unpaid, |facts| facts.extra_last_day = 51), Some("I10"));
    let makes_room = delete(&five()[0], When::BeforeCreate);
    assert_eq!(broken_again(&Scene::new("last=4", five()), &makes_room, |_| {}), None);
    assert_eq!(broken_again(&Scene::new("last=4", five()[..4].to_vec()), &makes_room, |_| {}), Some("I5"));
    let mut newer = five();
    newer[4].status = Status::InProgress;
    assert_eq!(broken_again(&Scene::new("last=4", newer), &makes_room, |_| {}), Some("I5"));
}

#[test]
fn i8_exactly_the_item_that_was_seen() {
    let scene = paid(five());
    let planned = |change: fn(&mut Item)| {
        let mut item = five()[0].clone();
        change(&mut item);
        broken(&scene, prune(&item))
    };
    assert_eq!(planned(|item| item.id = ItemId(99)), Some("I8"));
    assert_eq!(planned(|item| item.server_name = "web-02".into()), Some("I8"));
    assert_eq!(planned(|item| item.created_at = ago(1)), Some("I8"));
    assert_eq!(planned(|item| item.status = Status::Failed), Some("I8"));
    assert_eq!(broken(&scene, vec![delete(&five()[0], When::AfterCreate), extra(&five()[0], When::AfterCreate)]), Some("I8"));
    assert_eq!(broken_for(|item| item.kind = Kind::Backup), Some("I8"));
}

#[test]
fn i9_no_create_at_the_cap() {
    let create = || vec![Action::Create(order())];
    assert_eq!(broken(&Scene::new("last=4", five()), create()), Some("I9"));
    let mut six = five();
    six.push(foreign(6, 1));
    assert_eq!(broken(&Scene::new("last=4", six), room(&five()[0])), Some("I9"));
    let mut unseen = Scene::new("last=4", five()[..4].to_vec());
    unseen.inventory = inventory(listing_without(five()[..4].to_vec(), 1), 100);
    assert_eq!(broken(&unseen, create()), Some("I9"));
}

#[test]
fn i10_the_fuse() {
    let two = |marked: bool| {
        let second = if marked { extra(&five()[1], When::AfterCreate) } else { delete(&five()[1], When::AfterCreate) };
        vec![delete(&five()[0], When::AfterCreate), second]
    };
    let scene = paid(five());
    assert_eq!(broken(&scene, two(true)), None);
    assert_eq!(broken(&scene, two(false)), Some("I10"));
    assert_eq!(broken_with(&scene, two(true), |facts| facts.extra_last_day = 50), Some("I10"));
    assert_eq!(broken_with(&scene, prune(&five()[0]), |facts| facts.extra_last_day = 50), None);
    assert_eq!(broken_with(&scene, prune(&five()[0]), |facts| facts.owed = 1), Some("I10"));
    assert_eq!(broken_with(&scene, two(true), |facts| (facts.deleted, facts.extra) = (1, 1)), Some("I10"));
    assert_eq!(broken_with(&scene, two(true), |facts| facts.deleted = 1), Some("I10"));
    let mut three = two(true);
    three.push(extra(&five()[2], When::AfterCreate));
    assert_eq!(broken(&scene, three), Some("I10"));
    let unpaid = Scene { room_made: true, ..Scene::new("last=4", five()) };
    assert_eq!(broken(&unpaid, room(&five()[0])), Some("I10"));
}

#[test]
fn i12_one_item_for_a_slot() {
    let create = || vec![Action::Create(order())];
    let twin = |status| vec![with_status(item(1, 0, &order().description), status)];
    assert_eq!(broken(&Scene::new("last=4", twin(Status::InProgress)), create()), Some("I12"));
    assert_eq!(broken(&Scene::new("last=4", twin(Status::Failed)), create()), None);
    // The slot belongs to the server: a policy that was renamed does not repeat it.
    let renamed = "snapwarden owner=old policy=earlier slot=2026-11-21T12:00:00Z";
    assert_eq!(broken(&Scene::new("last=4", vec![item(1, 0, renamed)]), create()), Some("I12"));
    let elsewhere = "snapwarden owner=test policy=web slot=2026-11-21T12:00:00Z";
    assert_eq!(broken(&Scene::new("last=4", vec![item(1, 0, elsewhere)]), create()), None);
}

#[test]
fn a_time_in_a_mark_is_the_one_that_is_written_there() {
    let written = |text: &str| text.parse::<Timestamp>().ok().filter(|time| time.to_string() == text);
    let mut texts: Vec<String> = Vec::new();
    for year in [0, 1, 1600, 1900, 1969, 1970, 1972, 2000, 2026, 2027, 2028, 2100, 2400, 9999] {
        for month in 0..=13 {
            for day in [0, 1, 27, 28, 29, 30, 31, 32] {
                texts.push(format!("{year:04}-{month:02}-{day:02}T21:04:05Z"));
            }
        }
    }
    texts.extend(
        ["T00:00:00Z", "T23:59:59Z", "T24:00:00Z", "T23:60:00Z", "T23:59:60Z", "T23:59:59.5Z", "T23:59:59+00:00", "t23:59:59Z"]
            .map(|time| format!("2026-12-31{time}")),
    );
    texts
        .extend(["", "2026-1--01T00:00:00Z", "+026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "-009999-01-02T00:00:00Z"].map(str::to_owned));
    for text in texts {
        assert_eq!(time_of_mark(&text), written(&text), "{text}");
    }
}
