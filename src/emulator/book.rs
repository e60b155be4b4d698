//! The faults in force, and the counting of whom they hit.

use hyper::Method;
use jiff::Timestamp;

use super::behaviour::Behaviour;
use super::faults::{Fault, FaultId, When};
use crate::domain::inventory::ServerId;

/// The faults in force, in the order of adding.
#[derive(Debug)]
pub(super) struct FaultBook {
    rules: Vec<Rule>,
    added: u64,
    random: Random,
}

#[derive(Debug)]
struct Rule {
    id: FaultId,
    fault: Fault,
    fitting: u64,
    hits: u64,
    bucket: Option<Bucket>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl FaultBook {
    pub fn new(seed: u64) -> FaultBook {
        FaultBook { rules: Vec::new(), added: 0, random: Random(seed) }
    }

    pub fn add(&mut self, fault: Fault) -> FaultId {
        self.added += 1;
        let id = FaultId(self.added);
        self.rules.push(Rule { id, fault, fitting: 0, hits: 0, bucket: None });
        id
    }

    pub fn remove(&mut self, id: FaultId) {
        self.rules.retain(|rule| rule.id != id);
    }

    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// How often a fault has hit; 0 if it is not in force.
    pub fn hits(&self, id: FaultId) -> u64 {
        self.rules.iter().find(|rule| rule.id == id).map_or(0, |rule| rule.hits)
    }

    /// Counts the request with every fault that it fits; the first that hits it decides.
    pub fn pick(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        server: Option<ServerId>,
        now: Timestamp,
    ) -> Option<(FaultId, Behaviour)> {
        let mut picked = None;
        for rule in &mut self.rules {
            if !rule.fault.fits(method, path, query, server) {
                continue;
            }
            rule.fitting += 1;
            let strikes = rule.strikes(&mut self.random, now);
            if strikes && picked.is_none() {
                rule.hits += 1;
                picked = Some((rule.id, rule.fault.behaviour.clone()));
            }
        }
        picked
    }
}

impl Rule {
    fn strikes(&mut self, random: &mut Random, now: Timestamp) -> bool {
        match self.fault.when {
            When::Always => true,
            When::Nth(n) => self.fitting == n,
            When::First(n) => self.fitting <= n,
            When::From(n) => self.fitting >= n,
            When::Chance(probability) => random.next_share() < probability,
            When::AboveRate { per_second, burst } => {
                let bucket = self.bucket.get_or_insert(Bucket { tokens: burst, filled_at: now });
                !bucket.take(per_second, burst, now)
            }
        }
    }
}

impl Bucket {
    fn take(&mut self, per_second: f64, burst: f64, now: Timestamp) -> bool {
        let passed = now.duration_since(self.filled_at).as_secs_f64().max(0.0);
        self.tokens = (self.tokens + passed * per_second).min(burst);
        self.filled_at = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

/// SplitMix64: small, and the same in every run with the same seed.
#[derive(Debug)]
struct Random(u64);

impl Random {
    /// From 0 to 1, without 1.
    fn next_share(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(fault: Fault, requests: u64) -> Vec<u64> {
        let mut book = FaultBook::new(7);
        book.add(fault);
        let hit = |book: &mut FaultBook, _: &u64| book.pick(&Method::GET, "/snapshots/", "", None, Timestamp::UNIX_EPOCH).is_some();
        (1..=requests).filter(|n| hit(&mut book, n)).collect()
    }

    #[test]
    fn windows_count_fitting_requests_from_one() {
        assert_eq!(struck(Fault::everywhere().nth(2).cut(), 4), [2]);
        assert_eq!(struck(Fault::everywhere().first(2).cut(), 4), [1, 2]);
        assert_eq!(struck(Fault::everywhere().from(3).cut(), 4), [3, 4]);
        assert_eq!(struck(Fault::everywhere().cut(), 2), [1, 2]);
        assert_eq!(struck(Fault::on(Method::POST, "*").cut(), 2), [0; 0]);
    }

    #[test]
    fn chance_is_seeded_and_near_its_probability() {
        let first = struck(Fault::everywhere().chance(0.25).cut(), 1000);
        assert_eq!(first, struck(Fault::everywhere().chance(0.25).cut(), 1000));
        assert!((200..300).contains(&first.len()), "{}", first.len());
    }

    #[test]
    fn a_rate_lets_the_burst_pass_and_refills_with_time() {
        let mut book = FaultBook::new(0);
        book.add(Fault::everywhere().above_rate(2.0, 3).status(429));
        let mut hits = |millis: i64| {
            let now = Timestamp::from_millisecond(millis).unwrap();
            book.pick(&Method::GET, "/", "", None, now).is_some()
        };
        assert_eq!([0, 0, 0, 0, 400, 500, 500].map(&mut hits), [false, false, false, true, true, false, true]);
    }

    #[test]
    fn the_first_fault_decides_and_the_others_still_count() {
        let mut book = FaultBook::new(0);
        let cut = book.add(Fault::everywhere().nth(1).cut());
        let hang = book.add(Fault::everywhere().nth(2).hang());
        let mut pick = || book.pick(&Method::GET, "/", "", None, Timestamp::UNIX_EPOCH).map(|(id, _)| id);
        assert_eq!([pick(), pick(), pick()], [Some(cut), Some(hang), None]);
        assert_eq!((book.hits(cut), book.hits(hang)), (1, 1));
        book.remove(cut);
        assert_eq!(book.hits(cut), 0);
    }
}
