//! Items by hand of a kind that no policy of the server is for: the target is there for as long as it is asked for, and is told of nowhere else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::clock::Now;
use crate::domain::fact::Target;
use crate::domain::gather::gather;
use crate::domain::globs::Globs;
use crate::domain::inventory::Kind;
use crate::domain::memory::TargetKey;
use crate::domain::policy::{AtCap, KindPolicy, TextOnce};
use crate::domain::retention::Keep;
use crate::domain::schedule::{Expression, Schedule};

use super::Controller;
use super::requests::{Request, What};

/// The name of the policy that stands in.
const POLICY: &str = "hand";

/// After so long an item that is being made is told to be stuck.
const STUCK_AFTER: Duration = Duration::from_secs(3600);

impl Controller {
    /// Lets those targets in that an item by hand is asked for, and those go that nobody asks for any more.
    pub(super) fn tend_guests(&mut self, now: Now) {
        if self.guests.is_empty() && !self.desk.has_arrivals() {
            return;
        }
        let mut guests: BTreeSet<TargetKey> = gather(self.desk.requests().flat_map(|request| self.guests_of(request)));
        // A run ends under the policy that it was begun with.
        let running = |key: &TargetKey| self.runs.get(key.0).is_some_and(|run| run.target.kind == key.1);
        guests.extend(self.guests.iter().filter(|key| running(key) && self.has_no_policy(**key)));
        if guests != self.guests {
            self.guests = guests;
            self.rebuild_targets(now);
        }
    }

    fn has_no_policy(&self, key: TargetKey) -> bool {
        self.fleet.members.get(&key.0).is_some_and(|member| member.assignment.get(key.1).is_none())
    }

    fn guests_of<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = TargetKey> + 'a {
        let by_hand = matches!(request.what, What::Take { .. });
        let kinds = request.select.kinds.iter().filter(move |_| by_hand);
        kinds.flat_map(|kind| {
            let lacking = self.fleet.members.iter().filter(|(_, member)| member.assignment.get(*kind).is_none());
            let meant = lacking.filter(|(server, member)| {
                let target = Target { server: **server, server_name: Arc::clone(&member.name), kind: *kind, policy: POLICY.into() };
                request.select.admits(&target)
            });
            meant.map(|(server, _)| (*server, *kind))
        })
    }

    /// The policy of a guest. It has nothing under its care, so it never gives an item at the cap.
    pub(super) fn guest_policy(&self, key: TargetKey) -> Option<Arc<KindPolicy>> {
        let kind: Kind = self.guests.get(&key)?.1;
        let limit = self.setup.wanted.limits.of(kind);
        // Nothing is ever due by it; a policy has a schedule all the same.
        let yearly = Expression::parse("@yearly").ok()?;
        Some(Arc::new(KindPolicy {
            policy: POLICY.into(),
            kind,
            schedule: Arc::new(Schedule::new(vec![Arc::new(yearly)], TimeZone::UTC)),
            splay: Duration::ZERO,
            catch_up: Duration::ZERO,
            keep: Keep { last: limit, ..Keep::default() },
            leave_free: 0,
            at_cap: AtCap::Refuse,
            adopt: Globs::none(),
            protect: Globs::none(),
            min_keep: limit,
            stuck_after: STUCK_AFTER,
            hooks: None,
            text: TextOnce::default(),
        }))
    }
}
