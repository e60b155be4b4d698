//! What must hold of any row of records: disk and memory give back the same, nothing acknowledged is lost, and what follows from it is what it was.

#![allow(clippy::expect_used, reason = "a panic is how a finding is told")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    CreateEnd, CreateIntent, DeleteEnd, DeleteIntent, DeleteWhen, HistoryFilter, HooksBegun, Journal, MemoryJournal, OpId, Recall,
    Recollection, Record, RunId, RunStart, SlotsMissed, SqliteJournal, StateLock, Subject, Trigger,
};
use crate::clock::SystemClock;
use crate::domain::inventory::{ItemId, Kind, ServerId};
use crate::domain::mark::Origin;
use crate::domain::memory::{Memory, TargetMemory};
use crate::domain::policy::Hook;
use crate::domain::policy_text::PolicyText;
use crate::domain::problem::{Problem, Reason, RunResult};
use crate::domain::standing::{Asked, HeldItem, Selection, Standing, StandingOrder};

/// How many things are done to a journal.
const ACTS_MAX: usize = 48;

/// The first byte says whether the records are any at all, or such as a controller writes; the others what is done.
pub(crate) fn check(folder: &Path, data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 2 {
        0 => check_any(folder, &mut bytes),
        _ => check_lawful(folder, &mut bytes),
    }
}

/// Any records, contradictions among them: both journals take and refuse the same ones.
fn check_any(folder: &Path, bytes: &mut Bytes<'_>) {
    let (mut disk, mut memory) = (open(folder), MemoryJournal::new());
    for _ in 0..ACTS_MAX {
        match bytes.byte() % 16 {
            _ if bytes.is_empty() => break,
            0 => {
                let before = bytes.time();
                assert_eq!(disk.prune(before), memory.prune(before));
            }
            1 => disk = reopened(disk, folder),
            _ => {
                let records: Vec<Record> = (0..1 + bytes.byte() % 3).map(|_| any_record(bytes)).collect();
                assert_eq!(disk.append(&records), memory.append(&records), "{records:?}");
            }
        }
    }
    let since = bytes.time();
    let mut disk = reopened(disk, folder);
    for since in [since, Timestamp::MIN, Timestamp::MAX] {
        assert_eq!(loaded(&mut disk, since), loaded(&mut memory, since));
        let filter = HistoryFilter { since: Some(since), ..HistoryFilter::all(7) };
        assert_eq!(disk.history(&filter), memory.history(&filter));
    }
}

/// Records in an order in which a controller writes them: what was folded while they came is what is folded after a restart.
fn check_lawful(folder: &Path, bytes: &mut Bytes<'_>) {
    let (mut disk, mut memory, mut live) = (open(folder), MemoryJournal::new(), Memory::default());
    let (mut author, mut forgotten) = (Author::default(), Timestamp::MIN);
    for _ in 0..ACTS_MAX {
        match bytes.byte() % 16 {
            _ if bytes.is_empty() => break,
            0 => {
                let before = bytes.time();
                forgotten = forgotten.max(before);
                assert_eq!(disk.prune(before), memory.prune(before));
            }
            1 => disk = reopened(disk, folder),
            _ => {
                let Some(record) = author.write(bytes) else { continue };
                assert_eq!(disk.append(std::slice::from_ref(&record)), Ok(()), "{record:?}");
                assert_eq!(memory.append(std::slice::from_ref(&record)), Ok(()), "{record:?}");
                live.apply(&record);
            }
        }
    }
    let since = bytes.time();
    let recollection = loaded(&mut reopened(disk, folder), since);
    assert_eq!(recollection, loaded(&mut memory, since));
    let again = recollection.memory();
    assert_eq!(told(&again), told(&live), "{recollection:#?}");
    assert_eq!(again.hooks, live.hooks);
    // What was over before the time up to which things were forgotten need not be known.
    let since = since.max(forgotten);
    assert_eq!(standing(&again, since), standing(&live, since));
}

fn open(folder: &Path) -> SqliteJournal {
    let lock = StateLock::acquire(folder).expect("the folder is ours");
    SqliteJournal::open(lock, Arc::new(SystemClock::new())).expect("the journal is opened")
}

/// Without `close`, as after a death; nothing may be lost on the way.
fn reopened(mut journal: SqliteJournal, folder: &Path) -> SqliteJournal {
    let before = loaded(&mut journal, Timestamp::MIN);
    drop(journal);
    let mut journal = open(folder);
    assert_eq!(loaded(&mut journal, Timestamp::MIN), before);
    journal
}

fn loaded(journal: &mut impl Recall, since: Timestamp) -> Recollection {
    journal.load(since).expect("the journal is read")
}

/// What the past says of each target, as far as it must outlive a restart. A target of which it says nothing may be forgotten.
fn told(memory: &Memory) -> BTreeMap<(ServerId, Kind), String> {
    let tell = |target: &TargetMemory| {
        let undecided: Vec<&OpId> = target.undecided.keys().collect();
        let ends = (target.last_success, target.last_end, &target.problems, target.accounted);
        format!(
            "made {:?} unfinished {:?} undecided {undecided:?} room made by {:?} since {:?} ends {ends:?}",
            target.made,
            target.unfinished,
            target.made_way(),
            target.first_seen
        )
    };
    let nothing = tell(&TargetMemory::default());
    memory.targets().map(|(key, target)| (key, tell(target))).filter(|(_, told)| *told != nothing).collect()
}

/// What stands after a moment, of every item, server and target that the author may name.
fn standing(memory: &Memory, since: Timestamp) -> String {
    let now = since.checked_add(std::time::Duration::from_nanos(1)).unwrap_or(since);
    let held = Kind::ALL.map(|kind| memory.standing.held(kind).iter().filter(|(_, until)| **until > now).collect::<Vec<_>>());
    let servers = [0, 1].map(ServerId);
    let asked =
        servers.map(|server| Kind::ALL.map(|kind| Asked { server, server_name: Some("web"), configured_name: None, kind, policy: "" }));
    let paused = asked.map(|of| of.map(|asked| memory.standing.paused(asked, now)));
    format!("held {held:?} paused {paused:?} deletes {:?}", servers.map(|server| memory.standing.no_deletes(server, now)))
}

/// Keeps to what a controller keeps to: numbers are new, each operation begins, may be accepted and ends once, and a target has one run at a time.
#[derive(Default)]
struct Author {
    written: u64,
    items: u64,
    creates: Vec<(OpId, bool)>,
    deletes: Vec<OpId>,
    made: Vec<((ServerId, Kind), ItemId)>,
    running: BTreeMap<(ServerId, Kind), RunId>,
    hooks: Vec<OpId>,
    /// The latest end of an order.
    longest: Timestamp,
    targets: BTreeMap<OpId, (ServerId, Kind)>,
}

impl Author {
    /// The next record. None where there is nothing to go on with.
    fn write(&mut self, bytes: &mut Bytes<'_>) -> Option<Record> {
        let what = bytes.byte() % 11;
        let subject = Subject { server: ServerId(u64::from(bytes.byte() % 2)), ..bytes.subject() };
        // Time runs on as it is written.
        self.written += 1;
        let at = Timestamp::from_second(1_795_000_000 + 60 * i64::try_from(self.written).ok()?).ok()?;
        Some(match what {
            0 => {
                let op = self.begin(&subject);
                self.creates.push((op, false));
                Record::CreateIntent(CreateIntent { op, subject, at, ..bytes.create() }.into())
            }
            1 => self.go_on_with_create(bytes, at)?,
            2 => {
                let op = self.begin(&subject);
                self.deletes.push(op);
                let item = self.item_of((subject.server, subject.kind), bytes);
                Record::DeleteIntent(DeleteIntent { op, subject, at, item, ..bytes.delete() }.into())
            }
            3 => {
                let op = self.deletes.pop()?;
                Record::DeleteEnded { op, how: bytes.pick(DeleteEnd::ALL), error: bytes.error(), at }
            }
            4 => {
                let ((server, kind), item) = *bytes.one_of(&self.made)?;
                Record::ItemGone { server, kind, item, ours: bytes.byte().is_multiple_of(2), at }
            }
            5 => self.begin_or_end_run(bytes, subject, at),
            6 => Record::TargetSeen { server: subject.server, kind: subject.kind, at },
            7 => match bytes.byte().is_multiple_of(2).then(|| self.hooks.pop()).flatten() {
                Some(op) => Record::HooksEnded { op, error: bytes.error(), at },
                None => {
                    let op = self.begin(&subject);
                    self.hooks.push(op);
                    Record::HooksBegun(HooksBegun { op, subject, at, ..bytes.hooks() }.into())
                }
            },
            8 => {
                let lasts = std::time::Duration::from_secs(60 * u64::from(bytes.byte()));
                let (until, op) = (at.checked_add(lasts).ok()?, self.begin(&subject));
                // What ends others is remembered for as long as they are.
                let order = StandingOrder { op, at, until, ..bytes.order(subject.server) };
                let ends = matches!(order.what, Standing::Resume(_) | Standing::Release(_) | Standing::Deletes { .. });
                Record::Ordered(StandingOrder { until: if ends { until.max(self.longest) } else { until }, ..self.note_end(order) }.into())
            }
            9 => Record::PolicyText(bytes.policy().into()),
            _ => Record::SlotsMissed(SlotsMissed { subject, slot: at, count: bytes.number(), at }.into()),
        })
    }

    fn note_end(&mut self, order: StandingOrder) -> StandingOrder {
        self.longest = self.longest.max(order.until);
        order
    }

    fn begin(&mut self, subject: &Subject) -> OpId {
        let op = OpId(self.written);
        self.targets.insert(op, (subject.server, subject.kind));
        op
    }

    /// An item of the target, or one that the journal has not made.
    fn item_of(&self, target: (ServerId, Kind), bytes: &mut Bytes<'_>) -> ItemId {
        bytes.one_of(&self.made).filter(|(of, _)| *of == target).map_or(ItemId(u64::MAX), |(_, item)| *item)
    }

    fn go_on_with_create(&mut self, bytes: &mut Bytes<'_>, at: Timestamp) -> Option<Record> {
        let index = usize::from(bytes.byte()) % self.creates.len().max(1);
        let (op, accepted) = *self.creates.get(index)?;
        let how = bytes.byte();
        if !accepted && how.is_multiple_of(2) {
            self.items += 1;
            let item = ItemId(self.items);
            self.creates[index].1 = true;
            self.made.push((self.targets[&op], item));
            return Some(Record::CreateAccepted { op, item, at });
        }
        self.creates.remove(index);
        Some(match (accepted, how % 4) {
            (true, 0 | 1) => Record::CreateCompleted { op, at },
            (true, _) => Record::CreateEnded { op, how: CreateEnd::Failed, error: bytes.error(), at },
            (false, 1) => Record::CreateEnded { op, how: CreateEnd::Refused, error: bytes.error(), at },
            (false, _) => Record::CreateEnded { op, how: bytes.pick(&[CreateEnd::Absent, CreateEnd::NotSent]), error: bytes.error(), at },
        })
    }

    fn begin_or_end_run(&mut self, bytes: &mut Bytes<'_>, subject: Subject, at: Timestamp) -> Record {
        let key = (subject.server, subject.kind);
        match self.running.remove(&key) {
            Some(run) => Record::RunEnded { run, result: bytes.pick(RunResult::ALL), problems: bytes.problems(), error: bytes.error(), at },
            None => {
                let run = RunId(self.written);
                self.running.insert(key, run);
                let trigger = bytes.pick(Trigger::ALL);
                let slot = (trigger == Trigger::Schedule).then_some(at);
                Record::RunStarted(RunStart { run, subject, trigger, by: bytes.error(), slot, at }.into())
            }
        }
    }
}

/// Any record, with numbers so small that they meet, or so large that they hardly fit.
fn any_record(bytes: &mut Bytes<'_>) -> Record {
    let (op, run, item) = (OpId(bytes.number()), RunId(bytes.number()), ItemId(bytes.number()));
    let at = bytes.time();
    match bytes.byte() % 15 {
        0 => Record::CreateIntent(CreateIntent { op, run, at, ..bytes.create() }.into()),
        1 => Record::DeleteIntent(DeleteIntent { op, run, item, at, ..bytes.delete() }.into()),
        2 => Record::CreateAccepted { op, item, at },
        3 => Record::CreateCompleted { op, at },
        4 => Record::CreateEnded { op, how: bytes.pick(CreateEnd::ALL), error: bytes.error(), at },
        5 => Record::DeleteEnded { op, how: bytes.pick(DeleteEnd::ALL), error: bytes.error(), at },
        6 => {
            Record::ItemGone { server: ServerId(item.0 % 2), kind: bytes.pick(&Kind::ALL), item, ours: bytes.byte().is_multiple_of(2), at }
        }
        7 => {
            let slot = Some(bytes.time()).filter(|slot| *slot < at);
            Record::RunStarted(
                RunStart { run, subject: bytes.subject(), trigger: bytes.pick(Trigger::ALL), by: bytes.error(), slot, at }.into(),
            )
        }
        8 => Record::RunEnded { run, result: bytes.pick(RunResult::ALL), problems: bytes.problems(), error: bytes.error(), at },
        9 => Record::TargetSeen { server: ServerId(bytes.number()), kind: bytes.pick(&Kind::ALL), at },
        10 => Record::HooksBegun(HooksBegun { op, run, at, ..bytes.hooks() }.into()),
        11 => Record::HooksEnded { op, error: bytes.error(), at },
        12 => {
            let server = ServerId(bytes.number());
            Record::Ordered(StandingOrder { op, at, until: bytes.time(), ..bytes.order(server) }.into())
        }
        13 => Record::PolicyText(bytes.policy().into()),
        _ => Record::SlotsMissed(SlotsMissed { subject: bytes.subject(), slot: bytes.time(), count: bytes.number(), at }.into()),
    }
}

/// An input that is used up from its front; after its end come zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    fn one_of<'t, T>(&mut self, from: &'t [T]) -> Option<&'t T> {
        from.get(usize::from(self.byte()) % from.len().max(1))
    }

    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..250 => u64::from(small % 8),
            250 => i64::MAX.unsigned_abs(),
            251 => i64::MAX.unsigned_abs() + 1,
            252 => u64::MAX,
            253 => u64::MAX - 1,
            _ => (0..8).fold(0, |number, _| number << 8 | u64::from(self.byte())),
        }
    }

    fn time(&mut self) -> Timestamp {
        let near = Timestamp::from_second(1_795_000_000);
        match self.byte() {
            second @ 0..240 => near.map(|near| near + jiff::SignedDuration::from_secs(i64::from(second) * 10)),
            240 => Ok(Timestamp::MIN),
            241 => Ok(Timestamp::MAX),
            242 => Ok(Timestamp::UNIX_EPOCH),
            243 => Timestamp::from_nanosecond(-1),
            _ => Timestamp::from_nanosecond((0..8).fold(0, |number, _| number << 8 | i128::from(self.byte()))),
        }
        .expect("times within jiff's years")
    }

    fn text(&mut self) -> Box<str> {
        let length = usize::from(self.byte() % 24).min(self.0.len());
        let (text, rest) = self.0.split_at(length);
        self.0 = rest;
        String::from_utf8_lossy(text).into()
    }

    fn error(&mut self) -> Option<Box<str>> {
        (self.byte() % 2 == 1).then(|| self.text())
    }

    fn problems(&mut self) -> Vec<Problem> {
        (0..self.byte() % 3).map(|_| Problem { reason: self.pick(Reason::ALL), detail: self.text().into() }).collect()
    }

    fn subject(&mut self) -> Subject {
        Subject {
            server: ServerId(self.number()),
            server_name: self.text().into(),
            kind: self.pick(&Kind::ALL),
            policy: self.text().into(),
        }
    }

    fn create(&mut self) -> CreateIntent {
        let origin = match self.byte() % 2 {
            0 => Origin::Slot { policy: self.text(), slot: self.time() },
            _ => Origin::Hand { at: self.time() },
        };
        CreateIntent {
            op: OpId(0),
            run: RunId(self.number()),
            subject: self.subject(),
            origin,
            name: self.error().map(Into::into),
            description: self.text().into(),
            attempt: u32::from(self.byte()) << (self.byte() % 32),
            at: self.time(),
            config: self.text().into(),
            policy_text: (self.byte() % 2 == 1).then(|| self.policy().digest()),
        }
    }

    /// One of so few texts that several name the same.
    fn policy(&mut self) -> PolicyText {
        PolicyText::new("policies: {}\n".repeat(usize::from(self.byte() % 4)))
    }

    fn hooks(&mut self) -> HooksBegun {
        let run: Vec<String> = (0..self.byte() % 3).map(|_| self.text().into()).collect();
        HooksBegun {
            op: OpId(0),
            run: RunId(self.number()),
            subject: self.subject(),
            slot: (self.byte() % 2 == 1).then(|| self.time()),
            name: self.text(),
            after: (!run.is_empty()).then(|| Hook { run, timeout: std::time::Duration::from_nanos(self.number()) }),
            at: self.time(),
        }
    }

    fn order(&mut self, server: ServerId) -> StandingOrder {
        let held = |bytes: &mut Bytes<'_>| HeldItem {
            kind: bytes.pick(&Kind::ALL),
            item: ItemId(bytes.number()),
            name: bytes.error(),
            server,
            server_name: bytes.text(),
        };
        let what = match self.byte() % 6 {
            0 => Standing::Pause(self.selection()),
            1 => Standing::Resume(self.selection()),
            2 => Standing::Hold(held(self)),
            3 => Standing::Release(held(self)),
            4 => Standing::Deletes { server },
            _ => Standing::NoDeletes { server, server_name: self.text() },
        };
        StandingOrder { op: OpId(0), what, until: Timestamp::MIN, reason: self.text(), by: self.text(), at: Timestamp::MIN }
    }

    fn selection(&mut self) -> Selection {
        let servers = (0..self.byte() % 3).map(|_| self.text()).collect();
        let policies = (0..self.byte() % 3).map(|_| self.text()).collect();
        Selection { servers, policies, kinds: (0..self.byte() % 2).map(|_| self.pick(&Kind::ALL)).collect() }
    }

    fn delete(&mut self) -> DeleteIntent {
        DeleteIntent {
            op: OpId(0),
            run: RunId(self.number()),
            subject: self.subject(),
            item: ItemId(self.number()),
            item_name: self.error(),
            item_created_at: self.time(),
            newest_created_at: (self.byte() % 2 == 1).then(|| self.time()),
            when: self.pick(DeleteWhen::ALL),
            extra: self.byte() % 2 == 1,
            reason: self.text(),
            at: self.time(),
            config: self.text().into(),
            policy_text: (self.byte() % 2 == 1).then(|| self.policy().digest()),
        }
    }
}
