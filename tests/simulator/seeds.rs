//! Random histories.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use snapwarden::simulate::{Host, Landmark, World};

use crate::story::{self, Told};

/// So many of them are played by `cargo test`.
const SEEDS: u64 = 20_000;
/// So many histories in 10,000 must come to each landmark.
const LANDMARK_MIN: u64 = 100;
/// So many are played with every look at the clock.
const FULL_SEEDS: u64 = 100;

/// What came of many histories.
#[derive(Debug, Default)]
struct Tally {
    landmarks: BTreeMap<&'static str, u64>,
    simulated: Duration,
    failed: Vec<(u64, String)>,
}

/// Plays them on all cores.
fn play(seeds: Range<u64>) -> Tally {
    let (next, tally) = (AtomicU64::new(seeds.start), Mutex::new(Tally::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let told = story::play(seed, false);
                    tally.lock().unwrap().add(seed, told);
                }
            });
        }
    });
    tally.into_inner().unwrap()
}

impl Tally {
    fn add(&mut self, seed: u64, told: Told) {
        self.simulated += told.world.elapsed();
        for landmark in &told.world.landmarks {
            *self.landmarks.entry(landmark.as_str()).or_default() += 1;
        }
        self.failed.extend(told.wrong.map(|wrong| (seed, wrong)));
    }

    fn tell(&self, count: u64) {
        println!("{count} histories, {:.1} simulated years", self.simulated.as_secs_f64() / (365.25 * 86_400.0));
        for landmark in Landmark::ALL {
            println!("{:>8}  {landmark}", self.landmarks.get(landmark.as_str()).copied().unwrap_or_default());
        }
        for (seed, wrong) in self.failed.iter().take(20) {
            println!("SEED={seed} cargo test --test simulator one_history -- --nocapture\n    {wrong}");
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// `SEED=17 cargo test --test simulator one_history -- --nocapture` plays one of them again and tells its story.
#[test]
fn one_history() {
    let seed = number("SEED");
    let told = story::play(seed.unwrap_or_default(), seed.is_some());
    for line in told.world.story.iter().flatten() {
        println!("{line}");
    }
    assert_eq!(told.wrong, None, "seed {seed:?}");
}

/// `SEEDS=1000000 FROM=20000 cargo test --release --test simulator whatever -- --nocapture` plays more of them.
#[test]
fn whatever_went_wrong_all_is_well_in_the_end() {
    let (from, count) = (number("FROM").unwrap_or_default(), number("SEEDS").unwrap_or(SEEDS));
    let tally = play(from..from + count);
    tally.tell(count);
    assert!(tally.failed.is_empty(), "{} of {count} histories failed", tally.failed.len());
    let least = LANDMARK_MIN * count / 10_000;
    let seldom: Vec<_> =
        Landmark::ALL.iter().filter(|landmark| tally.landmarks.get(landmark.as_str()).copied().unwrap_or_default() < least).collect();
    assert!(seldom.is_empty(), "hardly ever reached: {seldom:?}");
}

/// The histories leave out the turns in which the program only looks at the clock. With them, the same happens at the provider.
#[test]
fn idle_turns_change_nothing() {
    let turns = |world: &World| world.hosts.iter().map(|host: &Host| host.turns).sum::<u64>();
    for seed in 0..number("SEEDS").unwrap_or(FULL_SEEDS) {
        let without = story::play_in(seed, |world| world.skips_idle_turns = true).world;
        let with = story::play_in(seed, |world| world.skips_idle_turns = false).world;
        let both = without.watch.effects.iter().zip(&with.watch.effects);
        assert_eq!(both.into_iter().find(|(one, other)| one != other), None, "seed {seed}");
        assert_eq!(without.watch.effects.len(), with.watch.effects.len(), "seed {seed}");
        assert!(!with.watch.created_by_us().is_empty() && turns(&with) > turns(&without), "seed {seed}");
    }
}
