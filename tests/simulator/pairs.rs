//! All sequences of up to two faults, in a run that makes room and in one that prunes. 92 % of catastrophic failures are mishandled errors, and 90 %
//! need at most three events (Yuan et al., OSDI '14).
//!
//! An item is complete at the first look, so that a run is short: all of it is met by each fault. One run is where the clocks in Oslo are put forward,
//! the other where they are put back.

use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use snapwarden::controller::Mode;
use snapwarden::domain::fact::Fact;
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::emulator::{Account, Fate, Item, Progress, Rules, Server};
use snapwarden::journal;
use snapwarden::provider::ProviderError;
use snapwarden::simulate::{Fault, On, Sending, Trouble, World};

use crate::calm;
use crate::plans::{self, PLACES, Plan};
use crate::story::{self, HOUR, MINUTE};

const ENTRY: &str = "  - {id: 1, policy: web}";
/// The policies, how many items there are at the beginning, and what a reload brings.
const ROOM: (&str, u64, usize) = (r#"schedule: "0 * * * *", keep: {last: 5}, leave_free: 0, stuck_after: 20m"#, 3600, 5);
const PRUNE: (&str, u64, usize) = (r#"schedule: "0 * * * *", keep: {last: 3}, stuck_after: 20m"#, 3600, 3);
const SMALL: (&str, u64, usize) = (r#"schedule: "0 * * * *", keep: {last: 2}, stuck_after: 20m"#, 3600, 2);
/// So many moments of the first run, counted in turns of the controller in which it wants something done outside.
const MOMENTS: u64 = 14;
/// So many of its lists.
const LISTS: u32 = 5;
/// Ten minutes after each of these there is a run, at the moment in which the clocks in Oslo change.
const CHANGES: [&str; 2] = ["2026-03-29T00:50:00Z", "2026-10-25T00:50:00Z"];
/// Of these places, the first is that zone.
const OSLO: usize = 1;

/// One fault.
#[derive(Debug, Clone)]
enum Atom {
    /// The so manieth such call runs into it.
    Call(On, u32, Trouble),
    /// In the so manieth turn of the run.
    Moment(u64, What),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Crash(Sending),
    CrashAndLose(Sending),
    CrashAndTear(usize),
    Clock(i64),
    JournalFull,
    JournalLies,
    PersonAdds,
    PersonDeletesOldest,
    PersonDeletesNewest,
    Reload,
    Vanish,
    Rename,
    Restore,
    Throttle,
    Outage,
    Token,
    SecondDaemon,
}

impl What {
    /// Whether the process dies by the command of that moment.
    fn is_crash(self) -> bool {
        matches!(self, What::Crash(_) | What::CrashAndLose(_))
    }
}

const WHATS: &[What] = &[
    What::Crash(Sending::Arrives),
    What::Crash(Sending::IsLost),
    What::CrashAndLose(Sending::Arrives),
    What::CrashAndLose(Sending::IsLost),
    What::CrashAndTear(1),
    What::CrashAndTear(3),
    What::Clock(5400),
    What::Clock(-5400),
    What::Clock(23 * 3600),
    What::Clock(-23 * 3600),
    What::JournalFull,
    What::JournalLies,
    What::PersonAdds,
    What::PersonDeletesOldest,
    What::PersonDeletesNewest,
    What::Reload,
    What::Vanish,
    What::Rename,
    What::Restore,
    What::Throttle,
    What::Outage,
    What::Token,
    What::SecondDaemon,
];

fn atoms() -> Vec<Atom> {
    let timeout = || ProviderError::Timeout;
    let late = Duration::from_secs(100);
    let slow = Trouble::Fate(Fate { after: Some(MINUTE * 40), end: Progress::Completed });
    let creates = [
        Trouble::Refused(timeout()),
        Trouble::Refused(Trouble::status(429)),
        Trouble::Refused(Trouble::status(400)),
        Trouble::Lost(Trouble::cut()),
        Trouble::Late(late, timeout()),
        Trouble::Mixed,
        Trouble::fails(),
        Trouble::never_completes(),
        Trouble::Fate(Fate { after: None, end: Progress::Word("archiving".to_owned()) }),
        slow,
    ];
    let deletes = [
        Trouble::Refused(Trouble::status(500)),
        Trouble::Refused(Trouble::status(404)),
        Trouble::Lost(Trouble::cut()),
        Trouble::Late(late, timeout()),
        Trouble::NoEffect,
        Trouble::Queued(MINUTE * 2),
    ];
    let lists = [
        Trouble::Refused(Trouble::status(503)),
        Trouble::Incomplete,
        Trouble::Empty,
        Trouble::Nameless,
        Trouble::Unreadable(1),
        Trouble::Stale(MINUTE),
        Trouble::Paged(MINUTE),
        Trouble::Slow(Duration::from_secs(25)),
        Trouble::Queued(Duration::from_secs(40)),
    ];
    let calls = |on: On, most: u32, troubles: &[Trouble]| -> Vec<Atom> {
        (1..=most).flat_map(|hit| troubles.iter().map(move |trouble| Atom::Call(on, hit, trouble.clone()))).collect()
    };
    let mut atoms = calls(On::Creates, 2, &creates);
    atoms.extend(calls(On::Deletes, 2, &deletes));
    atoms.extend(calls(On::Lists, LISTS, &lists));
    atoms.extend(calls(On::Servers, 2, &[Trouble::Refused(timeout())]));
    atoms.extend((1..=MOMENTS).flat_map(|moment| WHATS.iter().map(move |what| Atom::Moment(moment, *what))));
    atoms
}

/// The three policies, read once.
fn policies() -> &'static [Plan; 3] {
    static PLANS: OnceLock<[Plan; 3]> = OnceLock::new();
    PLANS.get_or_init(|| [ROOM, PRUNE, SMALL].map(|policy| plans::plan(OSLO, PLACES[OSLO].0, &policy, &("", 0, 0), ENTRY)))
}

/// A server with all the items of the last slots, ten minutes before the next one.
fn world(plan: &Plan, items: usize, origin: &str) -> World {
    let origin: Timestamp = origin.parse().unwrap();
    let mut account = Account::new(Rules::default().everything_takes(Duration::from_secs(40)));
    account.add_server(Server::active(1, "web-1"), origin);
    for age in 0..items as i64 {
        let slot = origin.checked_sub(SignedDuration::from_mins(50 + age * 60)).unwrap();
        let mark = format!("snapwarden owner=prod policy=web slot={slot}");
        account.add_item(Item::completed(Kind::Snapshot, ServerId(1), slot).described(&mark), origin);
    }
    World::new(plan.setup.clone(), Mode::Daemon, account, origin, 1).unwrap()
}

/// What came of a sequence.
struct Told {
    world: World,
    /// The last moment in the hour.
    moment: u64,
    /// What came about, in the order of the faults.
    came: Vec<bool>,
    /// What is wrong; none: nothing.
    wrong: Option<String>,
}

/// Lets the faults come in the run of one o'clock; an hour later all is well, and two hours after that everything must be as wanted.
fn play(room: bool, faults: &[&Atom], tells: bool) -> Told {
    let [with_room, pruned, small] = policies();
    let mut plan = if room { with_room } else { pruned };
    let mut world = world(plan, plan.wants(Kind::Snapshot).unwrap().1, CHANGES[usize::from(!room)]);
    world.story = tells.then(Vec::new);
    world.run_to(MINUTE * 10 - Duration::from_secs(1));
    let mut came = vec![false; faults.len()];
    let mut called = Vec::new();
    let mut moments: Vec<(u64, What, usize)> = Vec::new();
    for (place, fault) in faults.iter().enumerate() {
        match fault {
            Atom::Call(on, hit, trouble) => called.push((place, world.add_fault(Fault::new(*on, trouble.clone()).hits(*hit..=*hit)))),
            Atom::Moment(at, what) => moments.push((*at, *what, place)),
        }
    }
    moments.sort_by_key(|(at, ..)| *at);
    let (mut moment, mut commands) = (0, world.hosts[0].commands);
    while world.elapsed() < HOUR && world.breaches.is_empty() {
        let next = moments.first().copied().filter(|(at, ..)| *at == moment + 1);
        if let Some((_, What::Crash(sending) | What::CrashAndLose(sending), _)) = next {
            world.hosts[0].dies_after = Some((commands + 1, sending));
        }
        world.turn(HOUR);
        if world.hosts[0].commands == commands && world.hosts[0].up {
            continue;
        }
        commands = world.hosts[0].commands;
        moment += 1;
        while let Some((_, what, place)) = moments.first().copied().filter(|(at, ..)| *at == moment) {
            moments.remove(0);
            came[place] = !what.is_crash() || !world.hosts[0].up;
            befall(&mut world, what, &mut plan, small);
            // What it has set off is of this moment.
            commands = world.hosts[0].commands;
        }
    }
    called.into_iter().for_each(|(place, fault)| came[place] = world.twin.has_struck(fault));
    world.hosts[0].dies_after = None;
    story::heal(&mut world, 1);
    let wrong = calm::comes(&mut world, plan);
    Told { world, moment, came, wrong }
}

fn befall(world: &mut World, what: What, plan: &mut &'static Plan, small: &'static Plan) {
    world.note(|| format!("{what:?}"));
    let now = world.true_now();
    let there: Vec<ItemId> = {
        let mut items: Vec<&Item> = world.twin.account.items(Kind::Snapshot).collect();
        items.sort_by_key(|item| (item.created_at, item.id));
        items.iter().map(|item| item.id).collect()
    };
    match what {
        What::Crash(_) => again(world),
        What::CrashAndLose(_) => {
            world.lose_journal(0);
            again(world);
        }
        What::CrashAndTear(records) => {
            world.kill(0, true);
            world.tear_journal(0, records);
            again(world);
        }
        What::Clock(seconds) => world.step_clock_of(0, SignedDuration::from_secs(seconds)),
        What::JournalFull => story::each_journal(world, Some(journal::Fault::Full)),
        What::JournalLies => story::each_journal(world, Some(journal::Fault::Io { written: true })),
        What::PersonAdds if world.twin.account.used(Kind::Snapshot, ServerId(1)) < 5 => {
            world.add_item(Item::completed(Kind::Snapshot, ServerId(1), now));
        }
        What::PersonAdds => {}
        What::PersonDeletesOldest => there.first().into_iter().for_each(|id| world.delete_by_hand(Kind::Snapshot, *id)),
        What::PersonDeletesNewest => there.last().into_iter().for_each(|id| world.delete_by_hand(Kind::Snapshot, *id)),
        What::Reload => {
            *plan = small;
            world.reload_with(0, small.setup.clone());
        }
        What::Vanish => drop(world.twin.account.remove_server(ServerId(1))),
        What::Rename => world.twin.account.add_server(Server::active(1, "web-1-new"), now),
        What::Restore => world.twin.account.add_server(Server { status: "restoring".to_owned(), ..Server::active(1, "web-1") }, now),
        What::Throttle => world.trouble_for(MINUTE * 5, On::Everything, Trouble::Refused(Trouble::status(429))),
        What::Outage => world.trouble_for(MINUTE * 30, On::Everything, Trouble::Refused(Trouble::no_connection())),
        What::Token => world.trouble_for(MINUTE * 5, On::Everything, Trouble::Refused(Trouble::status(401))),
        What::SecondDaemon if world.hosts.len() == 1 => drop(world.add_host(Mode::Daemon).unwrap()),
        What::SecondDaemon => {}
    }
}

/// Another process begins after twenty seconds.
fn again(world: &mut World) {
    world.hosts[0].dies_after = None;
    let end = world.elapsed() + Duration::from_secs(20);
    world.run_to(end);
    world.begin(0);
}

/// Whether both can come about: a call runs into one trouble at a time, and a process dies once.
fn go_together(one: &Atom, other: &Atom) -> bool {
    match (one, other) {
        (Atom::Call(on, hit, _), Atom::Call(other_on, other_hit, _)) => on != other_on || hit != other_hit,
        (Atom::Moment(at, what), Atom::Moment(other_at, other)) => at != other_at || !what.is_crash() || !other.is_crash(),
        _ => true,
    }
}

/// Plays all of these on all cores. Returns how many there were.
fn play_all(room: bool) -> usize {
    let atoms = atoms();
    let mut sequences: Vec<(usize, Option<usize>)> = (0..atoms.len()).map(|first| (first, None)).collect();
    let pairs = (0..atoms.len()).flat_map(|first| (first + 1..atoms.len()).map(move |second| (first, second)));
    sequences
        .extend(pairs.filter(|(first, second)| go_together(&atoms[*first], &atoms[*second])).map(|(first, second)| (first, Some(second))));
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let came: Vec<AtomicBool> = atoms.iter().map(|_| AtomicBool::new(false)).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((first, second)) = sequences.get(next.fetch_add(1, Ordering::Relaxed)).copied() {
                    let places: Vec<usize> = [Some(first), second].into_iter().flatten().collect();
                    let faults: Vec<&Atom> = places.iter().map(|place| &atoms[*place]).collect();
                    let told = play(room, &faults, false);
                    places
                        .iter()
                        .zip(told.came)
                        .filter(|(_, came)| *came)
                        .for_each(|(place, _)| came[*place].store(true, Ordering::Relaxed));
                    if let Some(wrong) = told.wrong {
                        failed.lock().unwrap().push(format!("PAIR={first},{} {faults:?}\n    {wrong}", second.unwrap_or(first)));
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap();
    failed.sort();
    assert!(failed.is_empty(), "{} of {} sequences failed:\n{}", failed.len(), sequences.len(), failed[..failed.len().min(12)].join("\n"));
    let never: Vec<&Atom> = atoms.iter().zip(&came).filter(|(_, came)| !came.load(Ordering::Relaxed)).map(|(atom, _)| atom).collect();
    assert!(never.is_empty(), "these never came about: {never:?}");
    sequences.len()
}

/// Each moment of a run is met.
#[test]
fn a_run_has_no_more_moments_than_are_tried() {
    for room in [true, false] {
        let told = play(room, &[], false);
        let ended = told.world.hosts[0].facts.iter().any(|(_, fact)| matches!(fact, Fact::RunEnded { .. }));
        assert!(ended && told.moment <= MOMENTS, "{} moments", told.moment);
    }
}

#[test]
fn every_two_faults_in_a_run_that_makes_room() {
    println!("{} sequences of faults", play_all(true));
}

#[test]
fn every_two_faults_in_a_run_that_prunes() {
    println!("{} sequences of faults", play_all(false));
}

/// `ROOM=1 PAIR=3,17 cargo test --test simulator one_pair -- --nocapture` plays one of them again and tells its story; `ROOM=0` the pruning one.
#[test]
fn one_pair() {
    let told = std::env::var("PAIR").ok();
    let text = told.clone().unwrap_or_else(|| "0,0".to_owned());
    let places: Vec<usize> = text.split(',').map(|place| place.parse().unwrap()).collect();
    let atoms = atoms();
    let mut faults: Vec<&Atom> = places.iter().map(|place| &atoms[*place]).collect();
    faults.dedup_by(|one, other| std::ptr::eq(*one, *other));
    let told = play(std::env::var("ROOM").is_ok_and(|room| room == "1"), &faults, told.is_some());
    for line in told.world.story.iter().flatten() {
        println!("{line}");
    }
    assert_eq!(told.wrong, None, "{faults:?}");
}
