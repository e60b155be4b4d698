//! What the planner makes always passes, and what must stay never does.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::tests::facts;
use super::*;
use crate::domain::assess::Why;
use crate::domain::mark::Mark;
use crate::domain::plan::{Allowance, after_create, before_create};
use crate::domain::testing::*;

fn any_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        6 => Just(Status::Completed),
        1 => Just(Status::InProgress),
        1 => Just(Status::Failed),
        1 => Just(Status::Unknown("odd".into())),
    ]
}

fn any_description() -> impl Strategy<Value = String> {
    // Never the slot of the order: a run looks for that before it plans.
    let hours = || 1..60i64;
    let slot = |owner: &str, hours| Mark { owner: owner.into(), ..slot_mark(ago(hours)) };
    prop_oneof![
        8 => hours().prop_map(move |hours| slot("prod", hours).description()),
        1 => hours().prop_map(move |hours| slot("old", hours).description()),
        1 => hours().prop_map(move |hours| slot("test", hours).description()),
        1 => (hours(), -5..60i64).prop_map(move |(hours, until)| Mark { until: Some(ago(until)), ..slot("prod", hours) }.description()),
        1 => Just("snapwarden owner=prod by=hand at=2026-11-20T00:00:00Z".to_owned()),
        1 => Just("snapwarden owner=pr/od policy=web slot=2026-11-20T00:00:00Z until=2027-11-20T00:00:00Z".to_owned()),
        1 => Just("snapwarden owner=prod policy=web".to_owned()),
        2 => Just("by a person".to_owned()),
        1 => Just(String::new()),
    ]
}

fn any_item() -> impl Strategy<Value = Item> {
    let name = prop_oneof![Just(None), Just(Some("pre-move")), Just(Some("nightly"))];
    (any_description(), any_status(), -60..3600i64, name, prop::bool::weighted(0.1)).prop_map(
        |(description, status, minutes, name, auto)| Item {
            name: name.map(Into::into),
            status,
            created_at: now() - SignedDuration::from_mins(minutes),
            automatic: auto,
            ..item(0, 0, &description)
        },
    )
}

/// A scene, with how many creates have completed.
fn any_scene() -> impl Strategy<Value = Scene> {
    let keep = prop_oneof![Just("last=1"), Just("last=3"), Just("last=2,daily=2"), Just("hourly=2,daily=1,weekly=1")];
    let ids = prop::collection::vec(1..9u64, 0..3);
    let fuse = (any::<bool>(), 0..3u32, 0..3u32, 0..3u32);
    let policy = (keep, 1..4u32, prop::bool::weighted(0.3), prop::bool::weighted(0.3), 3..9u32);
    let known = (ids.clone(), ids.clone(), ids);
    (prop::collection::vec(any_item(), 0..9), policy, known, fuse, any::<bool>(), 0..2u32).prop_map(
        |(items, (keep, min_keep, adopt, protect, cap), (made, held, protected), (enabled, of_run, of_day, left), room_made, completed)| {
            let items: Vec<Item> = (1..).map(ItemId).zip(items).map(|(id, item)| Item { id, ..item }).collect();
            let mut scene = Scene::new(keep, items);
            scene.policy.min_keep = min_keep;
            scene.policy.adopt = if adopt { globs(&["*"]) } else { scene.policy.adopt };
            scene.policy.protect = if protect { globs(&["pre-*"]) } else { scene.policy.protect };
            scene.wanted.limits.snapshots = cap;
            (scene.wanted.fuse.extra_per_server, scene.wanted.fuse.extra_per_day) = (of_run, of_day.max(left));
            scene.wanted.fuse.enabled = enabled || of_run > 0;
            scene.made = made.into_iter().map(|id| (ItemId(id), slot_mark(ago(1)).origin)).collect();
            scene.held = held.into_iter().map(|id| (ItemId(id), ago(-1))).collect();
            scene.protected = protected.into_iter().map(ItemId).collect();
            scene.room_made = room_made;
            scene.allowance = Allowance { paid: completed, extra_run: of_run, extra_day: left };
            let shown = |id: &ItemId| scene.inventory.of(SERVER).find(*id).is_some();
            let frozen = !scene.wanted.fuse.enabled || !scene.made.keys().all(shown);
            scene.freeze = frozen.then(|| crate::domain::problem::Problem {
                reason: crate::domain::problem::Reason::ListingIncomplete,
                detail: String::new(),
            });
            scene
        },
    )
}

fn plans(scene: &Scene) -> [Plan<'static>; 2] {
    scene.with(|ground, _| [before_create(ground, &order()).into_owned(), after_create(ground).into_owned()])
}

proptest! {
    #[test]
    fn what_the_planner_makes_passes(scene in any_scene()) {
        let view = scene.inventory.of(SERVER);
        let nothing = BTreeMap::new();
        for plan in plans(&scene) {
            let checked = check(&plan, &facts(&scene, &view, &nothing));
            prop_assert!(checked.is_ok(), "{:?}: {:#?}", checked, plan.actions);
        }
    }

    #[test]
    fn a_delete_of_what_must_stay_is_refused(scene in any_scene(), pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>()) {
        let view = scene.inventory.of(SERVER);
        let nothing = BTreeMap::new();
        let rows = crate::domain::assess::assess(view.items, &scene.wanted, &scene.policy, scene.knowledge(), now(), None);
        let newest = rows.iter().rposition(|row| row.judged);
        let stays: Vec<Item> = rows
            .iter()
            .enumerate()
            .filter(|(index, row)| Some(*index) == newest || (!row.judged && !row.failed))
            .map(|(_, row)| Item::clone(&row.item))
            .collect();
        if stays.is_empty() {
            return Ok(());
        }
        let target = &stays[pick.index(stays.len())];
        for (mut plan, when) in plans(&scene).into_iter().zip([When::BeforeCreate, When::AfterCreate]) {
            if when == When::BeforeCreate && plan.order().is_none() {
                continue;
            }
            let action = Action::Delete(Deletion { item: target.clone(), when, extra: true, why: Why::Newest.into() });
            // In the stead of a planned delete, or besides.
            match plan.actions.iter_mut().find(|action| matches!(action, Action::Delete(deletion) if deletion.when == when)) {
                Some(planned) if at.index(2) == 0 => *planned = action,
                _ => plan.actions.insert(0, action),
            }
            prop_assert!(check(&plan, &facts(&scene, &view, &nothing)).is_err(), "{:#?}", plan.actions);
        }
    }
}
