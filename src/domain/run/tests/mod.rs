//! Runs as stories: what is shown and answered goes in, and the effects are read as they come out.

mod chance;
mod creates;
mod deletes;
mod interrupted;

use std::collections::BTreeMap;

use super::*;
use crate::domain::inventory::{Item, Kind, Listing, Status};
use crate::domain::memory::Memory;
use crate::domain::policy::{KindPolicy, Wanted};
use crate::domain::record::{RunStart, Trigger};
use crate::domain::testing::{SERVER, inventory, listing, listing_without, now, order, ours, policy, slot_mark, wanted, with_status};
use crate::domain::view::Inventory;

/// What the exchanges of the stories take at most.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A run, with everything around it.
struct Story {
    run: Run,
    memory: Memory,
    wanted: Wanted,
    policy: Option<KindPolicy>,
    generation: u64,
    inventory: Option<Inventory>,
    last_write: Option<Mono>,
    other_name: Option<&'static str>,
    restoring: bool,
    missing: bool,
    freeze: Option<Problem>,
    /// When the state of the servers was last told, where it is at all.
    servers: Option<Mono>,
    permit: bool,
    mistake: Option<fn(&mut crate::domain::plan::Plan)>,
    second: u64,
    next_op: OpId,
    recorded: Vec<OpId>,
    in_flight: Vec<OpId>,
    ended: Option<Outcome>,
    facts: Vec<String>,
}

fn start() -> Start {
    Start {
        passed_over: false,
        id: RunId(1),
        target: Target { server: SERVER, server_name: "web-01".into(), kind: Kind::Snapshot, policy: "web".into() },
        trigger: Trigger::Schedule,
        order: order(),
        origin: slot_mark(now()).origin,
        generation: 1,
        started: Now { wall: now(), mono: Mono(Duration::from_secs(1000)) },
        deadline: Some(now() + Duration::from_secs(7200)),
        by_hand: None,
    }
}

impl Story {
    fn new(keep: &str) -> Story {
        Story::of(Run::new(start()), keep)
    }

    fn of(run: Run, keep: &str) -> Story {
        let mut memory = Memory::default();
        memory.apply(&Record::RunStarted(
            RunStart { run: run.id, subject: (&run.target).into(), trigger: run.trigger, by: None, slot: run.slot(), at: now() }.into(),
        ));
        Story {
            run,
            memory,
            wanted: wanted(),
            policy: Some(policy(keep)),
            generation: 1,
            inventory: None,
            last_write: None,
            other_name: None,
            restoring: false,
            missing: false,
            freeze: None,
            servers: None,
            permit: true,
            mistake: None,
            second: 1000,
            next_op: OpId(10),
            recorded: Vec::new(),
            in_flight: Vec::new(),
            ended: None,
            facts: Vec::new(),
        }
    }

    fn mono(&self) -> Mono {
        Mono(Duration::from_secs(self.second))
    }

    /// Lets the run react, and again as long as it asks for that at once. Returns the effects in few words.
    fn step(&mut self, event: Event) -> Vec<String> {
        let mut told = self.step_once(event);
        for _ in 0..10 {
            let again = self.run.want.wake.is_some_and(|at| at <= self.mono());
            if self.ended.is_some() || !again {
                return told;
            }
            told.extend(self.step_once(Event::Look));
        }
        panic!("the run goes round in circles: {told:?}");
    }

    fn step_once(&mut self, event: Event) -> Vec<String> {
        static NONE: BTreeMap<ItemId, Timestamp> = BTreeMap::new();
        let now = Now { wall: now() + Duration::from_secs(self.second - 1000), mono: self.mono() };
        let memory = self.memory.get((SERVER, Kind::Snapshot)).unwrap();
        let context = Context {
            now,
            wanted: &self.wanted,
            config: &"digest".into(),
            generation: self.generation,
            hooks_are_open: false,
            policy: self.policy.as_ref(),
            request_timeout: TIMEOUT,
            inventory: self.inventory.as_ref(),
            memory,
            extras_last_day: self.memory.extras_last_day(now.wall),
            last_write: self.last_write,
            server: ServerState {
                missing: self.missing,
                conflict: None,
                other_name: self.other_name,
                restoring: self.restoring,
                seen: self.servers,
                told: self.servers.is_some(),
                freeze: self.freeze.as_ref(),
            },
            protected: &[],
            held: &NONE,
            permit: self.permit,
            mistake: self.mistake,
        };
        let effects = self.run.step(&context, &mut self.next_op, event);
        let told = effects.into_iter().filter_map(|effect| self.carry_out(effect)).collect();
        self.check_that_it_goes_on();
        told
    }

    /// A run that has not ended waits for something that can come.
    fn check_that_it_goes_on(&self) {
        let Want { listing, servers, permit, wake, .. } = self.run.want;
        let waits = listing.is_some() || servers.is_some() || permit || wake.is_some();
        assert!(self.ended.is_some() || self.run.is_in_flight() || waits, "it waits for nothing: {:?}", self.run);
        // Where no deadline bounds it, a time must: listings may never come.
        assert!(self.ended.is_some() || self.run.is_in_flight() || wake.is_some(), "it may wait for ever: {:?}", self.run);
    }

    fn carry_out(&mut self, effect: Effect) -> Option<String> {
        match effect {
            Effect::Intend(op, records) => {
                records.iter().for_each(|record| self.memory.apply(record));
                self.in_flight.push(op);
                assert_eq!(self.in_flight.len(), 1, "one write at a time");
                let [Record::PolicyText(text), record] = &records[..] else { panic!("no policy's text: {records:?}") };
                Some(match record {
                    Record::CreateIntent(intent) if intent.policy_text == Some(text.digest()) => {
                        format!("intend create {} of {}", intent.attempt, intent.name.as_deref().unwrap())
                    }
                    Record::DeleteIntent(intent) if intent.policy_text == Some(text.digest()) => {
                        format!("intend {} {}{}", intent.when, intent.item, if intent.extra { " extra" } else { "" })
                    }
                    _ => panic!("no intent: {record:?}"),
                })
            }
            Effect::Record(record) => {
                self.memory.apply(&record);
                match record {
                    Record::CreateAccepted { item, .. } => Some(format!("accepted {item}")),
                    Record::CreateCompleted { .. } => Some("completed".to_owned()),
                    Record::CreateEnded { how, .. } => Some(format!("create {how}")),
                    Record::DeleteEnded { how, .. } => Some(format!("delete {how}")),
                    Record::ItemGone { item, .. } => Some(format!("vanished {item}")),
                    _ => None,
                }
            }
            Effect::SendCreate { op, order: sent } => {
                assert!(self.recorded.contains(&op) && sent == order(), "only what is recorded is sent");
                self.send(op);
                Some("send create".to_owned())
            }
            Effect::SendDelete { op, item, until } => {
                assert!(self.recorded.contains(&op), "only what is recorded is sent");
                assert_eq!(Some(until), self.inventory.as_ref().map(|inventory| inventory.begun.after(Duration::from_secs(60))));
                self.send(op);
                Some(format!("send delete {item}"))
            }
            Effect::Tell(fact) => {
                match *fact {
                    Fact::CreateDecided { result, .. } => self.facts.push(format!("create {result}")),
                    Fact::DeleteDecided { item, result, .. } => self.facts.push(format!("delete {item} {result}")),
                    _ => {}
                }
                None
            }
            Effect::Freeze(violation) => Some(format!("freeze {}", violation.invariant)),
            Effect::Release => Some("release".to_owned()),
            Effect::Before { .. } => Some("before".to_owned()),
            Effect::After(_) => Some("after".to_owned()),
            Effect::End(outcome) => {
                assert!(self.ended.is_none() && self.in_flight.is_empty());
                let reasons: Vec<&str> = outcome.problems.iter().map(|problem| problem.reason.as_str()).collect();
                let told = [&["end", outcome.result.as_str()], &reasons[..]].concat().join(" ");
                self.ended = Some(outcome);
                Some(told)
            }
        }
    }

    fn send(&mut self, op: OpId) {
        if !self.in_flight.contains(&op) {
            self.in_flight.push(op);
        }
        assert_eq!(self.in_flight, [op], "one write at a time");
        self.last_write = Some(self.mono());
    }

    /// So much time passes.
    fn pass(&mut self, seconds: u64) -> &mut Story {
        self.second += seconds;
        self
    }

    fn look(&mut self) -> Vec<String> {
        self.step(Event::Look)
    }

    /// A second later a listing arrives that was begun then.
    fn show(&mut self, items: &[Item]) -> Vec<String> {
        self.show_listing(listing(items.to_vec()))
    }

    fn show_partly(&mut self, items: &[Item], missing: u64) -> Vec<String> {
        self.show_listing(listing_without(items.to_vec(), missing))
    }

    fn show_listing(&mut self, listing: Listing) -> Vec<String> {
        self.pass(1);
        self.inventory = Some(inventory(listing, self.second));
        self.servers = self.servers.map(|_| self.mono());
        self.look()
    }

    /// The intent is durable.
    fn recorded(&mut self) -> Vec<String> {
        let op = self.in_flight.pop().unwrap();
        self.recorded.push(op);
        self.step(Event::Recorded(op))
    }

    fn answer(&mut self) -> OpId {
        self.last_write = Some(self.mono());
        self.in_flight.pop().unwrap()
    }

    fn created(&mut self, item: Item) -> Vec<String> {
        let op = self.answer();
        self.step(Event::CreateAnswered(op, Ok(item)))
    }

    fn create_fails(&mut self, kind: SetbackKind) -> Vec<String> {
        let op = self.answer();
        self.step(Event::CreateAnswered(op, Err(setback(kind))))
    }

    fn deleted(&mut self) -> Vec<String> {
        let op = self.answer();
        self.step(Event::DeleteAnswered(op, Ok(())))
    }

    fn delete_fails(&mut self, kind: SetbackKind) -> Vec<String> {
        let op = self.answer();
        self.step(Event::DeleteAnswered(op, Err(setback(kind))))
    }

    /// The run of a story that begins with these items has sent its create.
    fn sent(keep: &str, items: &[Item]) -> Story {
        let mut story = Story::new(keep);
        story.show(items);
        assert_eq!(story.recorded(), ["send create"]);
        story
    }

    /// The create was taken, and its item 900 is complete: the run prunes now.
    fn pruning(keep: &str, items: &[Item]) -> (Story, Vec<String>) {
        let mut story = Story::sent(keep, items);
        story.created(coming(Status::InProgress));
        let told = story.show(&with(items, coming(Status::Completed)));
        (story, told)
    }
}

fn setback(kind: SetbackKind) -> Setback {
    Setback { kind, text: "told so".to_owned(), pause: None }
}

/// The item that the run makes.
fn coming(status: Status) -> Item {
    Item { name: order().name.as_deref().map(Into::into), status, ..ours(900, 0) }
}

fn with(items: &[Item], item: Item) -> Vec<Item> {
    items.iter().cloned().chain([item]).collect()
}

fn without(items: &[Item], id: u64) -> Vec<Item> {
    items.iter().filter(|item| item.id.0 != id).cloned().collect()
}

/// So many of ours, the oldest being number 1.
fn some(count: u64) -> Vec<Item> {
    (1..=count).map(|id| ours(id, 100 - id as i64)).collect()
}
