//! What comes to a process, and how it is handed to it: one by one, or together with what has come while its loop was busy.

use std::time::Duration;

use super::{Event, World};
use crate::controller::Input;
use crate::domain::hook::{HookEnd, HookSide};
use crate::domain::record::{OpId, Record};
use crate::simulate::host::Waiting;
use crate::simulate::landmark::Landmark;

/// One in so many turns keeps a loop busy.
const BUSY_ONE_IN: u64 = 4;

/// Something that comes to a process, and to no later one on its machine.
#[derive(Debug)]
pub(super) enum Coming {
    Answer { begun: Duration, lie: bool, input: Box<Input> },
    Durable(Vec<Record>, Option<OpId>),
    HookEnd(OpId, HookSide, HookEnd),
}

/// A process: its machine, and the how-manieth it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Process {
    pub host: usize,
    pub count: u64,
}

impl World {
    /// Something comes to a process. Unless its loop is busy, it is handed over, with what else comes at this moment.
    pub(super) fn come(&mut self, process: Process, what: Coming) {
        let place = process.host;
        let waiting = match what {
            Coming::Answer { begun, lie, input } => Waiting { input: *input, answer: Some((begun, lie)) },
            Coming::Durable(records, op) => Waiting { input: Input::Appended(op, self.write(place, records)), answer: None },
            Coming::HookEnd(op, side, end) => {
                self.note(|| format!("{place}: `{}` of {op} ends: {end:?}", side.as_str()));
                if let Some(host) = self.hosts.get_mut(place) {
                    host.hooks.ended(op, side, &end);
                }
                Waiting { input: Input::HookEnded(op, side, end, String::new()), answer: None }
            }
        };
        let next = |event: &Event| matches!(event, Event::Comes(to, _) if *to == process);
        let more = self.busy_max.is_some() && self.events.is_next_at(self.time, next);
        let time = self.time;
        let Some(host) = self.hosts.get_mut(place) else { return };
        host.inbox.push(waiting);
        if time < host.busy_until {
            host.wake = Some(host.wake.map_or(host.busy_until, |wake| wake.min(host.busy_until)));
        } else if !more {
            self.hand_over(place);
        }
    }

    /// Hands over what has come to a machine, together. Returns whether there was anything.
    pub(super) fn hand_over(&mut self, place: usize) -> bool {
        let mut waiting = self.hosts.get_mut(place).map(|host| std::mem::take(&mut host.inbox)).unwrap_or_default();
        if waiting.is_empty() {
            return false;
        }
        let answers = waiting.iter().filter(|waiting| waiting.answer.is_some()).count();
        if answers > 0 && answers < waiting.len() {
            self.landmarks.insert(Landmark::LoopWasBusy);
        }
        let (time, wall) = (self.time, self.now_at(place).wall);
        let mut inputs = Vec::with_capacity(waiting.len());
        for Waiting { input, answer } in waiting.drain(..) {
            if let Some((begun, lie)) = answer {
                self.note(|| format!("{place}: {}", told(&input)));
                if let Some(host) = self.hosts.get_mut(place) {
                    host.conduct.told(&input, begun, time, wall, lie);
                }
            }
            inputs.push(input);
        }
        // Its room is for what comes next.
        if let Some(host) = self.hosts.get_mut(place) {
            host.inbox = waiting;
        }
        self.hand_all_to(place, inputs);
        let busy = self.busy_max.map_or(0, |most| most.as_millis() as u64);
        if busy > 0 && self.load.one_in(BUSY_ONE_IN) {
            let busy = Duration::from_millis(self.load.below(busy));
            self.keep_busy(place, busy);
        }
        true
    }

    /// The loop of a machine takes nothing in for so long, not even that time passes.
    pub fn keep_busy(&mut self, place: usize, time: Duration) {
        let until = self.time + time;
        if let Some(host) = self.hosts.get_mut(place).filter(|host| host.up) {
            host.busy_until = until;
            host.wake = host.wake.map(|wake| wake.max(until));
        }
    }
}

/// An answer in a few words.
fn told(input: &Input) -> String {
    match input {
        Input::Listed(kind, _, reply) => match &reply.result {
            Ok(listing) => {
                format!("{} {kind}s listed, {} defects, {} opaque", listing.items.len(), listing.defects.len(), listing.opaque.len())
            }
            Err(error) => format!("{kind}s not listed: {error}"),
        },
        Input::Created(op, reply) => match &reply.result {
            Ok(item) => format!("create {op} answered: {}", item.id),
            Err(error) => format!("create {op} answered: {error}"),
        },
        Input::Deleted(op, reply) => format!("delete {op} answered: {:?}", reply.result),
        Input::Servers(_, reply) => format!("servers: {:?}", reply.result.as_ref().map(|listing| listing.servers.len())),
        Input::Account(reply) => format!("account: {:?}", reply.result.as_ref().map(|_| ())),
        other => format!("{other:?}"),
    }
}
