//! Golden texts of plans, at a fixed time.

use jiff::Timestamp;

use crate::domain::assess::{Belonging, Seen};
use crate::domain::fact::Target;
use crate::domain::inventory::{Item, ItemId, Kind, ServerId, Status};
use crate::domain::plan::{Deletion, Order, Plan, When};
use crate::domain::problem::Reason;

use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn line(id: u64, name: &str, at: &str, verdict: Verdict, why: &'static str) -> Row<'static> {
    let item = Item {
        id: ItemId(id),
        server: ServerId(1),
        server_name: "web-01".into(),
        kind: Kind::Snapshot,
        name: Some(name.into()),
        description: "".into(),
        status: Status::Completed,
        created_at: time(at),
        automatic: false,
    };
    Row {
        item: Seen::Kept(Box::new((item, None))),
        belonging: Belonging::Ours,
        judged: true,
        failed: false,
        mark_lost: false,
        free_at: None,
        verdict,
        reasons: Why::from(why).into(),
    }
}

fn planned() -> TargetPlan {
    let lines = vec![
        line(798, "prod-web-1", "2026-11-18T12:00:00Z", Verdict::Delete, "older than the 2 newest"),
        line(801, "日本\u{1b}[2J", "2026-11-20T13:00:00Z", Verdict::Leave, "made by others"),
        line(802, "prod-web-3", "2026-11-21T11:58:00Z", Verdict::Keep, "the newest (last 1)"),
    ];
    let deletion = Deletion {
        item: Item::clone(&lines[0].item),
        when: When::AfterCreate,
        extra: false,
        why: Why::from("older than the 2 newest").into(),
    };
    let order = Order { name: Some("prod-web-4".into()), description: "mark".into(), slot: None };
    TargetPlan {
        target: Target { server: ServerId(1), server_name: "web-01".into(), kind: Kind::Snapshot, policy: "web".into() },
        plan: Plan {
            cap: 5,
            used: 3,
            others: 1,
            lines,
            actions: vec![Action::Create(order), Action::Delete(deletion)],
            pending: vec![ItemId(700)],
            blocked: None,
            problems: vec![Problem { reason: Reason::Fuse, detail: "1 more to delete".to_owned() }],
        },
        problems: Vec::new(),
    }
}

const NOW: &str = "2026-11-21T12:00:00Z";

#[test]
fn a_plan_tells_what_stands_in_the_way_then_what_is_done_then_why() {
    let expected = "\
web-01 (1), snapshots, policy web: 3 of 5 slots used
  fuse: 1 more to delete
  1. create prod-web-4
  2. delete 798: older than the 2 newest
  later: delete 700
  798  3 d ago    prod-web-1     delete: older than the 2 newest
  801  23 h ago   日本\\u{1b}[2J  leave: made by others
  802  2 min ago  prod-web-3     keep: the newest (last 1)
";
    assert_eq!(target_text(&planned(), time(NOW), false), expected);
    let colors = ["1", "31", "32", "33", "", "33", "2", ""];
    let colored = expected.lines().zip(colors).map(|(line, color)| match color {
        "" => format!("{line}\n"),
        color => format!("\u{1b}[{color}m{line}\u{1b}[0m\n"),
    });
    assert_eq!(target_text(&planned(), time(NOW), true), colored.collect::<String>());
}

#[test]
fn what_blocks_is_told_once() {
    let mut planned = planned();
    let blocked = Problem { reason: Reason::CapFull, detail: "5 of 5 slots are used".to_owned() };
    planned.plan.problems = vec![blocked.clone()];
    planned.plan.blocked = Some(blocked);
    planned.plan.actions.clear();
    planned.plan.pending.clear();
    let text = target_text(&planned, time(NOW), false);
    assert_eq!(text.lines().nth(1), Some("  blocked: 5 of 5 slots are used"));
    assert_eq!(text.matches("5 of 5 slots").count(), 1, "{text}");
}
