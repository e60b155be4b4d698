//! How long planning takes, and how that grows with the fleet: `cargo bench --bench planning`.
//!
//! Each server has five snapshots and ten backups, as many as there may be, in a zone with daylight saving: no plan is harder, for a place must be found.
//! `ONCE=1000` plans once for so many servers, for a count of instructions.

#![allow(clippy::unwrap_used, reason = "a benchmark ends by a panic")]

#[path = "common/fleet.rs"]
mod fleet;
#[path = "common/time.rs"]
mod time;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use snapwarden::clock::Mono;
use snapwarden::domain::assess::Knowledge;
use snapwarden::domain::guard::{self, Facts};
use snapwarden::domain::inventory::{Kind, Listing, ServerId};
use snapwarden::domain::mark::item_name;
use snapwarden::domain::plan::{self, Allowance, Ground, Order, Plan};
use snapwarden::domain::policy::{KindPolicy, Wanted};
use snapwarden::domain::view::{Inventory, View};

/// A kind, with what a run knows of it.
struct Side {
    policy: Arc<KindPolicy>,
    inventory: Inventory,
    order: Order,
}

/// A fleet, and what is wanted of it.
struct Fleet {
    servers: u64,
    wanted: Wanted,
    sides: Vec<Side>,
}

/// The days before now on which the items of a kind were made.
fn days(kind: Kind) -> &'static [i64] {
    match kind {
        Kind::Snapshot => &[1, 2, 6, 13, 20],
        Kind::Backup => &[1, 2, 3, 4, 6, 13, 20, 27, 50, 80],
    }
}

impl Fleet {
    fn new(servers: u64) -> Fleet {
        let (wanted, now) = (fleet::config().wanted, fleet::slot(0));
        let side = |kind| {
            let listing = fleet::listing(kind, servers, days(kind));
            let mark = fleet::mark(now);
            let order = Order { name: item_name(kind, &mark, "").map(Into::into), description: mark.description().into(), slot: Some(now) };
            let policy = wanted.policies.iter().find(|policy| policy.kind == kind).unwrap();
            Side { policy: Arc::clone(policy), inventory: Inventory::new(listing, Mono::default()), order }
        };
        let sides = Kind::ALL.map(side).into();
        Fleet { servers, wanted, sides }
    }

    /// Makes a plan for each server and kind. Returns how many deletes they have.
    #[inline(never)]
    fn plan(&self, check: Option<fn(&Plan, &Facts<'_>)>) -> usize {
        let (made, held, undecided) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let knowledge = Knowledge { made: &made, protected: &[], held: &held };
        let now = fleet::slot(0);
        let mut deletes = 0;
        for side in &self.sides {
            for server in (1..=self.servers).map(ServerId) {
                let view = side.inventory.of(server);
                let ground = Ground {
                    wanted: &self.wanted,
                    policy: &side.policy,
                    view: &view,
                    knowledge,
                    freeze: None,
                    room_made: false,
                    allowance: Allowance { paid: 0, extra_run: 1, extra_day: 50 },
                    now,
                };
                let plan = black_box(plan::before_create(&ground, &side.order));
                deletes += plan.deletions(plan::When::BeforeCreate).count();
                if let Some(check) = check {
                    check(&plan, &facts(self, side, &view, knowledge, &undecided, now));
                }
            }
        }
        deletes
    }
}

fn facts<'a>(
    fleet: &'a Fleet,
    side: &'a Side,
    view: &'a View<'a>,
    knowledge: Knowledge<'a>,
    undecided: &'a BTreeMap<snapwarden::domain::record::OpId, snapwarden::domain::memory::Undecided>,
    now: Timestamp,
) -> Facts<'a> {
    Facts {
        wanted: &fleet.wanted,
        policy: &side.policy,
        server: view.items[0].server,
        view,
        made: knowledge.made,
        protected: knowledge.protected,
        held: knowledge.held,
        last_write: None,
        undecided,
        frozen: false,
        name_agrees: true,
        restoring: false,
        room_made: false,
        completed: 0,
        owed: 0,
        deleted: 0,
        extra: 0,
        extra_last_day: 0,
        now,
        mono: Mono::default(),
    }
}

fn guard(plan: &Plan, facts: &Facts<'_>) {
    black_box(guard::check(plan, facts).unwrap());
}

fn main() {
    if let Ok(servers) = std::env::var("ONCE") {
        println!("{} deletes", Fleet::new(servers.parse().unwrap()).plan(None));
        return;
    }
    // `cargo test --benches` runs this too: the smallest fleet shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    println!("{:>8} {:>12} {:>12} {:>12} {:>16}", "servers", "arranging", "planning", "and guard", "planning/server");
    for servers in fleet::FLEETS.into_iter().take(if is_bench { fleet::FLEETS.len() } else { 1 }) {
        let filled = Fleet::new(servers);
        assert_eq!(filled.plan(Some(guard)) as u64, 2 * servers, "a place is made on each server, for each kind");
        let planning = fleet::best(|| (), |()| filled.plan(None));
        let guarded = fleet::best(|| (), |()| filled.plan(Some(guard)));
        let arranging: Duration = filled.sides.iter().map(|side| arrange(&side.inventory)).sum();
        let ms = |time: Duration| format!("{:.3} ms", time.as_secs_f64() * 1e3);
        let each = planning.as_secs_f64() * 1e6 / servers as f64;
        println!("{servers:>8} {:>12} {:>12} {:>12} {each:>13.2} µs", ms(arranging), ms(planning), ms(guarded));
    }
}

/// How long it takes to arrange a listing by server; it comes with the newest first.
fn arrange(inventory: &Inventory) -> Duration {
    let mut items = inventory.items().to_vec();
    items.sort_by_key(|item| std::cmp::Reverse((item.created_at, item.id)));
    let listing = || Listing { kind: inventory.kind, items: items.clone().into(), opaque: Vec::new(), missing: 0, defects: Vec::new() };
    fleet::best(listing, |listing| Inventory::new(listing, Mono::default()))
}
