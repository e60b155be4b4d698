//! Candidates in a simulated world: one lease behind a network with latency, losses and partitions, and processes that stop for a while or for ever.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::*;
use crate::clock::{Mono, Now};

const DURATION: Duration = Duration::from_secs(30);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The world goes on by so much at a time.
const STEP: Duration = Duration::from_millis(250);

/// SplitMix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_in(&mut self, number: u64) -> bool {
        self.next().is_multiple_of(number)
    }

    fn below(&mut self, limit: Duration) -> Duration {
        Duration::from_millis(self.next() % (limit.as_millis() as u64).max(1))
    }
}

/// The API server's part: whoever names the newest version may write.
#[derive(Default)]
struct Store {
    lease: Option<Lease>,
    writes: u64,
}

impl Store {
    fn perform(&mut self, call: &Call) -> Answer {
        let wish = match (call, &self.lease) {
            (Call::Read, lease) => return lease.clone().map_or(Answer::Missing, Answer::Lease),
            (Call::Create(_), Some(_)) => return Answer::Conflict,
            (Call::Create(wish), None) => wish,
            (Call::Replace(..), None) => return Answer::Missing,
            (Call::Replace(version, _), Some(lease)) if *version != lease.version => return Answer::Conflict,
            (Call::Replace(_, wish), Some(_)) => wish,
        };
        self.writes += 1;
        let lease =
            Lease { version: self.writes.to_string(), holder: wish.holder.clone(), duration: wish.duration, transitions: wish.transitions };
        self.lease = Some(lease.clone());
        Answer::Lease(lease)
    }
}

/// What goes wrong, and how often.
#[derive(Debug, Clone, Copy)]
struct Weather {
    latency_max: Duration,
    /// One call in so many is lost on its way, or its answer is; 0: none.
    loses_one_in: u64,
    /// In one step of so many a process stops for a while, is cut off for a while, or dies; 0: never.
    trouble_one_in: u64,
    trouble_max: Duration,
}

const FINE: Weather =
    Weather { latency_max: Duration::from_millis(50), loses_one_in: 0, trouble_one_in: 0, trouble_max: Duration::from_secs(1) };

/// A call on its way, or its answer.
struct Message {
    at: Duration,
    process: u64,
    /// Which of the process's calls.
    number: u64,
    what: Travelling,
}

enum Travelling {
    /// It gets there; `answers`: and its answer comes back.
    Call {
        call: Call,
        answers: bool,
    },
    Answer(Answer),
}

struct Candidate {
    election: Election,
    process: u64,
    /// When its clock began.
    born: Duration,
    wall_off: SignedDuration,
    stopped_until: Duration,
    cut_off_until: Duration,
    /// When the call under way is given up.
    gives_up_at: Option<Duration>,
    calls: u64,
    dead: bool,
    /// When it last might have sent something.
    sent: Option<Duration>,
}

struct World {
    time: Duration,
    store: Store,
    candidates: Vec<Candidate>,
    messages: Vec<Message>,
    chance: Chance,
    weather: Weather,
    processes: u64,
    /// Who might have sent something, in this order, each once in a row.
    led: Vec<u64>,
}

impl World {
    fn new(number: usize, seed: u64, weather: Weather) -> World {
        let mut world = World {
            time: Duration::from_secs(1000),
            store: Store::default(),
            candidates: Vec::new(),
            messages: Vec::new(),
            chance: Chance(seed),
            weather,
            processes: 0,
            led: Vec::new(),
        };
        for _ in 0..number {
            let candidate = world.born();
            world.candidates.push(candidate);
        }
        world
    }

    fn born(&mut self) -> Candidate {
        self.processes += 1;
        let born = self.time.saturating_sub(self.chance.below(Duration::from_secs(900)));
        let terms = Terms::new(format!("replica-{}", self.processes), DURATION, REQUEST_TIMEOUT);
        Candidate {
            election: Election::new(terms, Mono(self.time - born)),
            process: self.processes,
            born,
            wall_off: SignedDuration::ZERO,
            stopped_until: Duration::ZERO,
            cut_off_until: Duration::ZERO,
            gives_up_at: None,
            calls: 0,
            dead: false,
            sent: None,
        }
    }

    fn terms() -> Terms {
        Terms::new(String::new(), DURATION, REQUEST_TIMEOUT)
    }

    fn hand(&mut self, place: usize, event: Event) {
        let time = self.time;
        let candidate = &mut self.candidates[place];
        let wall = Timestamp::UNIX_EPOCH + SignedDuration::try_from(time).unwrap() + candidate.wall_off;
        let now = Now { wall, mono: Mono(time - candidate.born) };
        if matches!(event, Event::Answered(_)) {
            candidate.gives_up_at = None;
        }
        let Some(call) = candidate.election.handle(now, event) else { return };
        assert!(candidate.gives_up_at.is_none(), "two calls at a time");
        candidate.gives_up_at = Some(time + World::terms().call_max());
        candidate.calls += 1;
        let (process, number, cut_off) = (candidate.process, candidate.calls, candidate.cut_off_until > time);
        let lost = |chance: &mut Chance, one_in: u64| one_in > 0 && chance.one_in(one_in);
        if cut_off || lost(&mut self.chance, self.weather.loses_one_in) {
            return;
        }
        let answers = !lost(&mut self.chance, self.weather.loses_one_in);
        let at = time + self.chance.below(self.weather.latency_max);
        self.messages.push(Message { at, process, number, what: Travelling::Call { call, answers } });
    }

    fn deliver(&mut self) {
        let (due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.messages).into_iter().partition(|message| message.at <= self.time);
        self.messages = later;
        for Message { process, number, what, .. } in due {
            match what {
                Travelling::Call { call, answers } => {
                    let answer = self.store.perform(&call);
                    if answers {
                        let at = self.time + self.chance.below(self.weather.latency_max);
                        self.messages.push(Message { at, process, number, what: Travelling::Answer(answer) });
                    }
                }
                Travelling::Answer(answer) => {
                    // An answer that comes after its call was given up goes nowhere.
                    let waits = |candidate: &Candidate| {
                        candidate.process == process && candidate.calls == number && !candidate.dead && candidate.gives_up_at.is_some()
                    };
                    let Some(place) = self.candidates.iter().position(waits) else { continue };
                    let candidate = &self.candidates[place];
                    if candidate.stopped_until > self.time {
                        // It waits in the buffer of its socket.
                        let at = candidate.stopped_until;
                        self.messages.push(Message { at, process, number, what: Travelling::Answer(answer) });
                    } else if candidate.cut_off_until <= self.time {
                        self.hand(place, Event::Answered(answer));
                    }
                }
            }
        }
    }

    fn trouble(&mut self) {
        if self.weather.trouble_one_in == 0 || !self.chance.one_in(self.weather.trouble_one_in) {
            return;
        }
        let place = (self.chance.next() % self.candidates.len() as u64) as usize;
        let until = self.time + self.chance.below(self.weather.trouble_max);
        match self.chance.next() % 5 {
            0 => self.candidates[place].stopped_until = until,
            1 => self.candidates[place].cut_off_until = until,
            2 => self.candidates[place].wall_off += SignedDuration::from_secs(self.chance.next() as i32 as i64 % 100_000),
            // Another process begins in its place at once, which cannot know what this one had sent.
            3 => self.candidates[place] = self.born(),
            _ => self.store.lease = self.store.lease.take().filter(|_| !self.chance.one_in(4)),
        }
    }

    fn step(&mut self) {
        self.time += STEP;
        self.trouble();
        self.deliver();
        for place in 0..self.candidates.len() {
            let candidate = &self.candidates[place];
            if candidate.dead || candidate.stopped_until > self.time {
                continue;
            }
            match candidate.gives_up_at {
                Some(at) if at <= self.time => self.hand(place, Event::Answered(Answer::Failed("lost".to_owned()))),
                _ => self.hand(place, Event::Tick),
            }
        }
        self.judge();
    }

    /// At no moment may two send, nor may one send while another's exchange can still last.
    fn judge(&mut self) {
        let exchange_max = World::terms().exchange_max;
        let time = self.time;
        let may_send: Vec<usize> = (0..self.candidates.len()).filter(|place| self.may_send(*place)).collect();
        for place in may_send {
            let process = self.candidates[place].process;
            let others = self.candidates.iter().filter(|other| other.process != process);
            for sent in others.filter_map(|other| other.sent) {
                assert!(sent + exchange_max < time, "{process} may send at {time:?}, and another might have at {sent:?}");
            }
            self.candidates[place].sent = Some(time);
            if self.led.last() != Some(&process) {
                self.led.push(process);
            }
        }
    }

    /// A process that is stopped sends nothing, but it may go on at any moment: right then it must know.
    fn may_send(&self, place: usize) -> bool {
        let candidate = &self.candidates[place];
        let now = Mono(self.time - candidate.born);
        !candidate.dead && candidate.election.window().is_some_and(|window| window.allows(now, World::terms().exchange_max))
    }

    fn run_for(&mut self, time: Duration) {
        let end = self.time + time;
        while self.time < end {
            self.step();
        }
    }

    /// How long it takes until somebody may send.
    fn until_led(&mut self) -> Duration {
        let begun = self.time;
        while !(0..self.candidates.len()).any(|place| self.may_send(place)) {
            self.step();
            assert!(self.time - begun < Duration::from_secs(3600), "nobody leads");
        }
        self.time - begun
    }

    fn leader(&self) -> usize {
        (0..self.candidates.len()).find(|place| self.may_send(*place)).expect("somebody leads")
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_two_may_ever_send_at_one_moment(
        seed in any::<u64>(),
        number in 2..4_usize,
        latency_ms in 1..9_000_u64,
        loses_one_in in 0..12_u64,
        trouble_one_in in 8..400_u64,
        trouble_s in 1..300_u64,
    ) {
        let weather = Weather {
            latency_max: Duration::from_millis(latency_ms),
            loses_one_in,
            trouble_one_in,
            trouble_max: Duration::from_secs(trouble_s),
        };
        let mut world = World::new(number, seed, weather);
        world.run_for(Duration::from_secs(1200));
        // Once all is well again somebody leads, and goes on.
        world.weather = FINE;
        world.run_for(Duration::from_secs(300));
        world.until_led();
        let leader = world.leader();
        world.run_for(Duration::from_secs(600));
        prop_assert!(world.may_send(leader));
    }
}

#[test]
fn histories_like_these_have_many_leaders() {
    let weather =
        Weather { latency_max: Duration::from_secs(2), loses_one_in: 6, trouble_one_in: 100, trouble_max: Duration::from_secs(120) };
    let mut world = World::new(3, 7, weather);
    world.run_for(Duration::from_secs(20_000));
    assert!(world.led.len() > 10, "{:?}", world.led);
}

#[test]
fn in_fine_weather_one_leads_and_goes_on() {
    let mut world = World::new(3, 1, FINE);
    let first = world.until_led();
    // There was no lease: somebody might still have believed in one.
    let terms = World::terms();
    assert!(first >= DURATION + terms.settle && first < DURATION + terms.settle + Duration::from_secs(5), "{first:?}");
    world.run_for(Duration::from_secs(3600));
    assert_eq!(world.led.len(), 1);
}

#[test]
fn a_lease_that_nobody_holds_is_taken_at_once() {
    let mut world = World::new(2, 2, FINE);
    let empty = Lease { version: "0".to_owned(), holder: None, duration: Duration::from_secs(1), transitions: 4 };
    world.store.lease = Some(empty);
    assert!(world.until_led() < Duration::from_secs(3));
    assert_eq!(world.store.lease.as_ref().unwrap().transitions, 5);
}

#[test]
fn who_dies_is_followed_within_the_duration_and_the_time_of_doubt() {
    let mut world = World::new(2, 3, FINE);
    world.until_led();
    let leader = world.leader();
    world.candidates[leader].dead = true;
    let took = world.until_led();
    let terms = World::terms();
    assert!(took >= DURATION / 2, "{took:?}");
    assert!(took <= DURATION + terms.renew_every() + terms.settle + Duration::from_secs(1), "{took:?}");
    // Since its last write two request timeouts have passed, so that what was in doubt is settled.
    let sent = world.candidates[leader].sent.unwrap();
    assert!(world.time - sent >= 2 * REQUEST_TIMEOUT, "{:?}", world.time - sent);
}

#[test]
fn who_gives_it_back_is_followed_at_once() {
    let mut world = World::new(2, 4, FINE);
    world.until_led();
    let leader = world.leader();
    world.hand(leader, Event::Release);
    // Who gives it back has nothing on its way any more.
    world.candidates[leader].sent = None;
    assert!(!world.may_send(leader), "nothing is sent from now on");
    while !world.candidates[leader].election.is_released() {
        world.step();
    }
    assert_eq!(world.store.lease.as_ref().unwrap().holder, None);
    let took = world.until_led();
    assert!(took <= World::terms().renew_every() + Duration::from_secs(1), "{took:?}");
    world.run_for(Duration::from_secs(600));
    assert_ne!(world.leader(), leader, "who has given it back does not take it again");
}

#[test]
fn who_still_waits_for_what_another_left_in_doubt_leaves_the_lease_to_end_by_itself() {
    let mut world = World::new(3, 4, FINE);
    world.until_led();
    let leader = world.leader();
    world.candidates[leader].dead = true;
    let next = loop {
        world.step();
        let holds = |place: &usize| *place != leader && world.candidates[*place].election.window().is_some();
        if let Some(next) = (0..3).find(holds) {
            break next;
        }
    };
    assert!(!world.may_send(next), "it waits");
    world.hand(next, Event::Release);
    assert!(world.candidates[next].election.is_released());
    assert!(world.store.lease.as_ref().unwrap().holder.is_some(), "who takes it now must wait as well");
    let took = world.until_led();
    assert!(took >= DURATION, "{took:?}");
    let sent = world.candidates[leader].sent.unwrap();
    assert!(world.time - sent >= 2 * REQUEST_TIMEOUT, "{:?}", world.time - sent);
}

#[test]
fn a_process_that_was_stopped_for_minutes_knows_it_when_it_goes_on() {
    let mut world = World::new(2, 5, FINE);
    world.until_led();
    let leader = world.leader();
    world.candidates[leader].stopped_until = world.time + Duration::from_secs(200);
    world.run_for(Duration::from_secs(200));
    assert_ne!(world.leader(), leader);
    // `judge` has looked at it at every moment, the first after it went on included.
    world.run_for(Duration::from_secs(200));
    assert_eq!(world.led.len(), 2);
}

#[test]
fn renewals_may_fail_for_a_while_and_then_writes_stop_before_the_lease_does() {
    let mut world = World::new(1, 6, FINE);
    world.until_led();
    world.candidates[0].cut_off_until = world.time + Duration::from_secs(10_000);
    let begun = world.time;
    while world.may_send(0) {
        world.step();
    }
    let held = world.time - begun;
    let terms = World::terms();
    assert!(held > DURATION / 3, "{held:?}");
    assert!(held + terms.exchange_max < DURATION, "{held:?}");
    assert!(world.candidates[0].election.trouble().is_some());
}

#[test]
fn wall_clocks_decide_nothing() {
    let mut world = World::new(2, 8, FINE);
    world.until_led();
    let leader = world.leader();
    for off in [-86_400, 86_400, 0] {
        world.candidates.iter_mut().for_each(|candidate| candidate.wall_off = SignedDuration::from_secs(off));
        world.run_for(Duration::from_secs(120));
        assert!(world.may_send(leader));
    }
    assert_eq!(world.led.len(), 1);
}

#[test]
fn a_lease_that_a_person_takes_away_is_not_used_any_more() {
    let mut world = World::new(2, 9, FINE);
    world.until_led();
    let leader = world.leader();
    let stranger = Lease { version: "x".to_owned(), holder: Some("a person".to_owned()), duration: DURATION, transitions: 9 };
    world.store.lease = Some(stranger);
    world.run_for(World::terms().renew_every() + Duration::from_secs(1));
    assert!(!world.may_send(leader));
    assert_eq!(world.candidates[leader].election.holder(), Some("a person"));
}

#[test]
fn a_long_lease_leaves_a_request_its_whole_time() {
    let terms = Terms::new("a".to_owned(), Duration::from_secs(120), Duration::from_secs(30));
    assert_eq!(terms.exchange_max, Duration::from_secs(30));
    let terms = Terms::new("a".to_owned(), Duration::from_secs(30), Duration::from_secs(30));
    assert_eq!((terms.exchange_max, terms.settle), (Duration::from_secs(10), Duration::from_secs(47)));
}
