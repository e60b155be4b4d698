//! What people order to stand for a while (`pause`, `hold`, …): written down first, in effect once it is durable.

use std::collections::BTreeMap;

use crate::clock::Now;
use crate::domain::fleet::Member;
use crate::domain::inventory::ServerId;
use crate::domain::memory::TargetKey;
use crate::domain::problem::{Problem, Reason};
use crate::domain::record::{OpId, Record};
use crate::domain::standing::{Asked, Order, StandingOrder};

use super::{Command, Controller};

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderReport {
    /// The asker's number for it.
    pub id: u64,
    /// What stands now; else why nothing does.
    pub result: Result<Vec<StandingOrder>, String>,
    /// Why what stands may come too late.
    pub late: Option<String>,
}

impl OrderReport {
    fn refused(id: u64, why: String) -> OrderReport {
        OrderReport { id, result: Err(why), late: None }
    }

    /// What to tell the asker: what stands.
    ///
    /// # Errors
    /// Nothing stands, or what stands may come too late.
    pub fn answer(self) -> Result<Vec<StandingOrder>, String> {
        self.late.map_or(self.result, Err)
    }
}

/// Orders that are being written down, by the number of their first entry.
pub(super) type Pending = BTreeMap<OpId, (u64, Vec<StandingOrder>)>;

/// How a pause is told, of the configuration and of an order.
#[derive(Debug)]
pub(super) struct PausedUntil {
    pub until: jiff::Timestamp,
    why: Option<String>,
}

impl PausedUntil {
    pub fn problem(&self) -> Problem {
        let until = self.until;
        let why = self.why.as_deref().filter(|why| !why.is_empty()).map(|why| format!(": {why}"));
        Problem { reason: Reason::Paused, detail: format!("paused until {until}{}", why.unwrap_or_default()) }
    }
}

impl Controller {
    /// Somebody orders something: it is written down, and nothing is promised before that is durable.
    pub(super) fn take_order(&mut self, now: Now, id: u64, order: &Order) {
        if let Some(why) = self.standby() {
            return self.out.push(Command::Ordered(OrderReport::refused(id, why)));
        }
        let first = self.next_op;
        match self.memory.standing.give(order, first, now.wall) {
            Err(error) => self.out.push(Command::Ordered(OrderReport::refused(id, error.to_string()))),
            Ok(orders) => {
                self.next_op = OpId(first.0 + orders.len() as u64);
                self.appends.push((orders.iter().map(|order| Record::Ordered(order.clone().into())).collect(), Some(first)));
                self.pending_orders.insert(first, (id, orders));
            }
        }
    }

    /// An order is durable, or could not be written.
    pub(super) fn order_written(&mut self, now: Now, op: Option<OpId>, error: Option<&str>) {
        let Some((id, orders)) = op.and_then(|op| self.pending_orders.remove(&op)) else { return };
        if let Some(error) = error {
            let why = format!("the journal cannot be written: {error}");
            return self.out.push(Command::Ordered(OrderReport::refused(id, why)));
        }
        for order in &orders {
            self.memory.apply(&Record::Ordered(order.clone().into()));
        }
        let late = self.memory.too_late(&orders);
        self.out.push(Command::Ordered(OrderReport { id, result: Ok(orders), late }));
        self.look_at_orders(now);
    }

    /// What is ordered has changed: what follows for each target is seen at once.
    fn look_at_orders(&mut self, now: Now) {
        self.wake_at_ends_of_pauses(now);
        let keys: Vec<TargetKey> = self.targets.keys().copied().collect();
        for key in keys {
            self.summarize(now, key, false);
            self.tell_problems(now, key);
            self.ready.insert(key.0);
        }
    }

    /// A pause that ends lets its targets be looked at right then.
    pub(super) fn wake_at_ends_of_pauses(&mut self, now: Now) {
        if self.memory.standing.ends_of_pauses(now.wall).next().is_none() {
            return;
        }
        let paused: Vec<_> = self.targets.keys().filter_map(|key| Some((self.paused(now, *key)?.until, *key))).collect();
        for (until, key) in paused {
            self.timetables.look_at(until, key);
        }
    }

    fn ask_of<T>(&self, key: TargetKey, ask: impl FnOnce(Asked<'_>) -> T) -> T {
        let target = self.target(key);
        // Before the servers have been told, a name that is not known may be any.
        let unknown = target.server_name.is_empty() && !self.sources.servers.settled;
        let server_name = (!unknown).then_some(&*target.server_name);
        let configured_name = self.fleet.members.get(&key.0).and_then(|member| member.expected_name.as_deref());
        ask(Asked { server: key.0, server_name, configured_name, kind: key.1, policy: &target.policy })
    }

    /// Until when no run is begun for a target, by the configuration or by an order: the later of the two.
    pub(super) fn paused(&self, now: Now, key: TargetKey) -> Option<PausedUntil> {
        let configured = self.fleet.members.get(&key.0).and_then(|member| member.paused_until).filter(|until| *until > now.wall);
        let configured = configured.map(|until| PausedUntil { until, why: None });
        configured.into_iter().chain(self.paused_by_order(now, key)).max_by_key(|paused| paused.until)
    }

    /// Whether no run is begun for a target of this member of the fleet.
    pub(super) fn is_paused(&self, now: Now, key: TargetKey, member: &Member) -> bool {
        member.paused_until.is_some_and(|until| until > now.wall) || self.paused_by_order(now, key).is_some()
    }

    fn paused_by_order(&self, now: Now, key: TargetKey) -> Option<PausedUntil> {
        self.memory.standing.ends_of_pauses(now.wall).next()?;
        self.ask_of(key, |asked| {
            let paused = self.memory.standing.paused(asked, now.wall)?;
            Some(PausedUntil { until: paused.until, why: Some(paused.why.to_owned()) })
        })
    }

    /// When the last pause of a target ended: nothing has been missed before that.
    pub(super) fn last_paused(&self, now: Now, key: TargetKey) -> Option<jiff::Timestamp> {
        let configured = self.fleet.members.get(&key.0).and_then(|member| member.paused_until);
        if !self.memory.standing.knows_pauses() {
            return configured;
        }
        configured.max(self.ask_of(key, |asked| self.memory.standing.last_paused(asked, now.wall)))
    }

    /// Whether nothing is deleted on a server because it was restored.
    pub(super) fn after_restore(&self, now: Now, server: ServerId) -> Option<Problem> {
        let (until, why) = self.memory.standing.no_deletes(server, now.wall)?;
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        Some(Problem { reason: Reason::Restoring, detail: format!("it was restored{why}; nothing is deleted there until {until}") })
    }
}
