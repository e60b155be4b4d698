//! What is planned in each situation of contract §3.

use super::*;
use crate::domain::assess::sentence;
use crate::domain::inventory::{Opaque, ServerId};
use crate::domain::testing::*;

fn five() -> Vec<Item> {
    (1..=5).map(|id| ours(id, 100 - id as i64)).collect()
}

fn before(scene: &Scene) -> Plan<'static> {
    scene.with(|ground, _| before_create(ground, &order()).into_owned())
}

fn after(scene: &Scene) -> Plan<'static> {
    scene.with(|ground, _| after_create(ground).into_owned())
}

/// The actions in few words; `!`: an extra delete.
fn actions(plan: &Plan) -> Vec<String> {
    let told = |action: &Action| match action {
        Action::Create(_) => "create".to_owned(),
        Action::Delete(deletion) => {
            let mark = if deletion.extra { "!" } else { "" };
            format!("{} {}{mark}", deletion.when.as_str(), deletion.item.id)
        }
    };
    plan.actions.iter().map(told).collect()
}

fn blocked(scene: &Scene) -> (Reason, String) {
    let plan = before(scene);
    assert!(plan.actions.is_empty(), "{plan:?}");
    let blocked = plan.blocked.unwrap();
    assert_eq!(plan.problems.iter().filter(|problem| problem.reason == blocked.reason).count(), 1);
    (blocked.reason, blocked.detail)
}

#[test]
fn a_free_slot_is_used_and_what_follows_is_foretold() {
    let plan = before(&Scene::new("last=4", five()[..4].to_vec()));
    assert_eq!(actions(&plan), ["create", "after_create 1"]);
    assert_eq!((plan.cap, plan.used, plan.others, plan.order()), (5, 4, 0, Some(&order())));
    let verdicts: Vec<&str> = plan.lines.iter().map(|line| line.verdict.as_str()).collect();
    assert_eq!(verdicts, ["delete", "keep", "keep", "keep"]);
    assert!(plan.pending.is_empty() && plan.problems.is_empty() && plan.blocked.is_none());
}

#[test]
fn at_the_cap_one_makes_room() {
    let plan = before(&Scene::new("last=4", five()));
    assert_eq!(actions(&plan), ["before_create 1", "create", "after_create 2!"]);
    assert_eq!(sentence(&plan.deletions(When::BeforeCreate).next().unwrap().why), "makes room: older than the 4 newest");
    let plan = before(&Scene::new("last=5", five()));
    assert_eq!(actions(&plan), ["before_create 1", "create"]);
    assert_eq!(sentence(&plan.lines[0].reasons), "makes room: with the new one, older than the 5 newest");
}

#[test]
fn where_others_fill_the_cap_the_oldest_of_ours_makes_room() {
    let items = vec![foreign(1, 99), foreign(2, 98), ours(3, 97), ours(4, 96), foreign(5, 95)];
    let plan = before(&Scene::new("last=4", items));
    assert_eq!(actions(&plan), ["before_create 3", "create"]);
    assert_eq!((plan.lines[2].reasons[0].to_string(), plan.others), ("makes room: the oldest under our care".to_owned(), 3));
}

#[test]
fn all_adopted_and_all_slots_in_use_goes_on_with_one_hole() {
    let mut scene = Scene::new("last=5", (1..=5).map(|id| foreign(id, 100 - id as i64)).collect());
    scene.policy.adopt = globs(&["*"]);
    scene.policy.leave_free = 0;
    let plan = before(&scene);
    assert_eq!(actions(&plan), ["before_create 1", "create"]);
    assert!(plan.lines[1..].iter().all(|line| line.verdict == Verdict::Keep && line.belonging == Belonging::Adopted));
}

#[test]
fn nothing_makes_room_where_none_may_go() {
    let scene = Scene::new("last=4", (1..=5).map(|id| foreign(id, id as i64)).collect());
    let expected = "5 of 5 slots are used (5 made by others or protected); none of them is under our care";
    assert_eq!(blocked(&scene), (Reason::CapFull, expected.to_owned()));
    let mut refuse = Scene::new("last=4", five());
    refuse.policy.at_cap = AtCap::Refuse;
    assert_eq!(
        blocked(&refuse).1,
        "5 of 5 slots are used (5 restore points); no room is made (`at_cap: refuse`, or `take` without `--make-room`)"
    );
    let mut scene = Scene::new("last=4", five());
    scene.wanted.limits.snapshots = 4;
    assert_eq!(blocked(&scene).1, "5 of 4 slots are used (5 restore points); one delete would not free a slot");
    let only = vec![foreign(1, 9), foreign(2, 8), foreign(3, 7), foreign(4, 6), ours(5, 5)];
    assert!(blocked(&Scene::new("last=4", only)).1.ends_with("`min_keep: 1` lets none go"));
    let mut fewest = Scene::new("last=4", five());
    fewest.policy.min_keep = 5;
    assert!(blocked(&fewest).1.ends_with("`min_keep: 5` lets none go"));
}

#[test]
fn no_room_is_made_while_a_newer_one_of_ours_is_unfinished() {
    for status in [Status::InProgress, Status::Unknown("queued".into())] {
        let mut items = five();
        items[4].status = status;
        assert!(blocked(&Scene::new("last=4", items)).1.ends_with("no room is made while 5 is unfinished"));
    }
    let mut older = five();
    older[0].status = Status::InProgress;
    assert_eq!(actions(&before(&Scene::new("last=4", older)))[0], "before_create 2");
    let mut others = five();
    others[4] = with_status(foreign(5, 1), Status::InProgress);
    assert_eq!(actions(&before(&Scene::new("last=4", others)))[0], "before_create 1");
}

#[test]
fn a_failed_one_goes_first_even_the_newest() {
    let mut items = five();
    items[4].status = Status::Failed;
    let plan = before(&Scene::new("last=4", items));
    assert_eq!(actions(&plan)[..2], ["before_create 5", "create"]);
}

#[test]
fn room_is_not_made_twice_but_a_failed_one_may_go_as_an_extra() {
    let mut scene = Scene::new("last=5", five());
    scene.policy.leave_free = 0;
    scene.room_made = true;
    assert!(blocked(&scene).1.ends_with("room was made before, and nothing has completed since"));
    let mut items = five();
    items[2].status = Status::Failed;
    let mut scene = Scene { room_made: true, ..Scene::new("last=4", items) };
    let plan = before(&scene);
    assert_eq!(actions(&plan), ["before_create 3!", "create"]);
    scene.allowance.extra_day = 0;
    assert_eq!(blocked(&scene).0, Reason::Fuse);
}

#[test]
fn where_others_filled_the_hole_only_what_retention_drops_anyway_makes_room_again() {
    let scene = Scene { room_made: true, ..Scene::new("last=3", five()) };
    assert_eq!(actions(&before(&scene))[..2], ["before_create 1!", "create"]);
    let mut items = five();
    items[0] = foreign(1, 99);
    items[1] = foreign(2, 98);
    assert!(blocked(&Scene { room_made: true, ..Scene::new("last=3", items) }).1.ends_with("nothing has completed since"));
}

#[test]
fn what_stands_against_deletes_blocks_at_the_cap_and_only_there() {
    let freeze = Problem { reason: Reason::NameMismatch, detail: "the provider calls the server `x`".to_owned() };
    let full = Scene { freeze: Some(freeze.clone()), ..Scene::new("last=4", five()) };
    assert_eq!(blocked(&full).0, Reason::NameMismatch);
    let free = Scene { freeze: Some(freeze.clone()), ..Scene::new("last=3", five()[..4].to_vec()) };
    let plan = before(&free);
    assert_eq!(actions(&plan), ["create"]);
    assert_eq!((plan.pending, plan.problems), (vec![ItemId(1), ItemId(2)], vec![freeze]));
}

#[test]
fn what_cannot_be_seen_may_use_the_last_slot() {
    let mut scene = Scene::new("last=4", five()[..3].to_vec());
    scene.inventory = inventory(listing_without(five()[..3].to_vec(), 1), 100);
    assert_eq!(actions(&before(&scene))[0], "create", "one is visibly free");
    for missing in [2, 3] {
        scene.inventory = inventory(listing_without(five()[..3].to_vec(), missing), 100);
        assert_eq!(blocked(&scene).0, Reason::ListingIncomplete);
    }
    let opaque = Opaque { id: None, server: Some(ServerId(7)), why: "odd".to_owned() };
    scene.inventory = inventory(crate::domain::inventory::Listing { opaque: vec![opaque], ..listing(five()[..4].to_vec()) }, 100);
    assert_eq!(blocked(&scene).0, Reason::ListingIncomplete);
}

#[test]
fn automatic_backups_use_no_slot() {
    let items = five().into_iter().map(|item| Item { automatic: true, ..item }).collect();
    assert_eq!(before(&Scene::new("last=4", items)).used, 0);
}

#[test]
fn the_fuse_lets_the_oldest_go_and_the_rest_wait() {
    let mut scene = Scene::new("last=1", five());
    scene.allowance = Allowance { paid: 1, extra_run: 1, extra_day: 50 };
    let plan = after(&scene);
    assert_eq!(actions(&plan), ["after_create 1", "after_create 2!"]);
    assert_eq!((plan.pending, plan.problems[0].reason), (vec![ItemId(3), ItemId(4)], Reason::Fuse));
    scene.allowance = Allowance { paid: 0, extra_run: 3, extra_day: 1 };
    assert_eq!(actions(&after(&scene)), ["after_create 1!"]);
    scene.allowance = Allowance::default();
    assert_eq!(after(&scene).pending.len(), 4);
}

#[test]
fn a_create_that_pays_for_an_earlier_room_pays_for_nothing_else() {
    let scene = Scene { room_made: true, ..Scene::new("last=2", five()[..4].to_vec()) };
    assert_eq!(actions(&before(&scene)), ["create", "after_create 1!"]);
}

#[test]
fn to_look_is_to_do_nothing() {
    let plan = Scene::new("last=1", five()).with(|ground, _| look(ground).into_owned());
    assert!(plan.actions.is_empty() && plan.blocked.is_none());
    assert_eq!(plan.lines.iter().filter(|line| line.verdict == Verdict::Delete).count(), 4);
}
