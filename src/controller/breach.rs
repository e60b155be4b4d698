//! Breaches: what the guard has refused. Nothing is deleted on that server, of either kind, until two complete listings in a row have shown that
//! the cause is gone. Creates go on.

use crate::clock::Now;
use crate::domain::fact::Fact;
use crate::domain::guard::Violation;
use crate::domain::inventory::{Kind, ServerId};
use crate::domain::memory::{TargetKey, TargetMemory};
use crate::domain::problem::{Problem, Reason};
use crate::domain::run::ServerState;

use super::Controller;
use super::observe::CLEAN_LISTINGS;

/// A plan of one target that the guard has refused.
#[derive(Debug)]
pub(super) struct Breach {
    detail: String,
    /// Whether this process has told it: once, however often a plan is refused while it stands.
    told: bool,
    /// Complete listings in a row on which the plans were sound.
    sound: u32,
}

impl Breach {
    /// A breach that an earlier process has met at the end of its last run. That it was over since is not written down, so it is seen anew.
    pub fn remembered(memory: &TargetMemory) -> Option<Breach> {
        let problem = memory.problems.iter().find(|problem| problem.reason == Reason::Guard)?;
        Some(Breach { detail: problem.detail.clone(), told: false, sound: 0 })
    }
}

impl Controller {
    /// The guard has refused a plan: deletes on that server stop, and it is told once.
    pub(super) fn freeze_deletes(&mut self, key: TargetKey, violation: &Violation) {
        let target = self.target(key);
        let run = self.runs.get(key.0).map_or(0, |run| run.id.0);
        if !self.targets.contains_key(&key) {
            return;
        }
        // Of several refusals the first one says what is wrong: those after it may only say that deletes are stopped.
        let detail = || format!("a plan was refused: {violation}; nothing is deleted on the server");
        let breach = self.breaches.entry(key).or_insert_with(|| Breach { detail: detail(), told: false, sound: 0 });
        breach.sound = 0;
        if !std::mem::replace(&mut breach.told, true) {
            self.tell(Fact::GuardRefused { target, run, violation: violation.to_string() });
        }
    }

    /// The breach that stops the deletes on a server: of either kind, for what is wrong with one may be wrong with the other.
    pub(super) fn breach_on(&self, server: ServerId) -> Option<Problem> {
        if self.breaches.is_empty() {
            return None;
        }
        let breach = Kind::ALL.into_iter().find_map(|kind| self.breaches.get(&(server, kind)))?;
        Some(Problem { reason: Reason::Guard, detail: breach.detail.clone() })
    }

    /// A listing has come. Where a breach stands, the plans are made once more, and nothing is done with them but to let the guard read them.
    pub(super) fn rehearse(&mut self, now: Now, key: TargetKey) {
        if !self.breaches.contains_key(&key) {
            return;
        }
        let sound = self.plans_are_sound(now, key);
        let Some(breach) = self.breaches.get_mut(&key) else { return };
        breach.sound = if sound { breach.sound + 1 } else { 0 };
        if breach.sound >= CLEAN_LISTINGS {
            self.breaches.remove(&key);
        }
    }

    fn plans_are_sound(&self, now: Now, key: TargetKey) -> bool {
        let doubt = self.account.freeze(now.wall);
        let (Some(run), Some(context)) = (self.run_now(now, key), self.context(now, key)) else { return false };
        // Only complete listings count, and here they are counted; the state of the servers is asked for again before a delete.
        let server = ServerState { freeze: doubt.as_ref(), seen: Some(now.mono), ..context.server };
        matches!(run.rehearse(&crate::domain::run::Context { server, ..context }), Some(Ok(())))
    }
}
