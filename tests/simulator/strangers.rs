//! What others make, and rarer troubles: items of the provider's own plan, of another installation and with a damaged mark, lists of servers that do not
//! show them all, creates that are carried out long after they were proved absent, and a provider whose clock is behind.

use std::time::Duration;

use jiff::SignedDuration;

use snapwarden::domain::inventory::{Kind, ServerId};
use snapwarden::emulator::{Item, Progress};
use snapwarden::provider::ProviderError;
use snapwarden::simulate::{Chance, Fault, On, Trouble, World};

use crate::story::{DAY, HOUR, MINUTE};

/// What comes of chance for all that.
pub struct Strangers {
    chance: Chance,
    servers: u64,
}

impl Strangers {
    /// On so many servers.
    pub fn new(seed: u64, servers: u64) -> Strangers {
        // Its draws are its own, so that without strangers a history is what it was.
        Strangers { chance: Chance::new(seed.rotate_left(32)), servers }
    }

    /// Something happens, in one case of three.
    pub fn now_and_then(&mut self, world: &mut World) {
        if !self.chance.one_in(3) {
            return;
        }
        let server = ServerId(1 + self.chance.below(self.servers));
        let kind = if self.chance.one_in(3) { Kind::Backup } else { Kind::Snapshot };
        match self.chance.below(8) {
            0 => {
                let now = world.true_now();
                world.add_item(Item::automatic(server, now, DAY * 7));
            }
            1 => self.make(world, server, kind, "snapwarden owner=stage policy=web slot=2026-06-01T03:00:00Z"),
            2 => self.make(world, server, kind, "snapwarden owner=prod policy=web slot=yesterday"),
            3 => self.trouble(world, On::Servers, Trouble::Empty, MINUTE * 10),
            4 | 5 => self.trouble(world, On::Servers, Trouble::Incomplete, HOUR * 3),
            6 => {
                let late = self.chance.between(MINUTE * 2, MINUTE * 10);
                self.trouble(world, On::Creates, Trouble::Late(late, ProviderError::Timeout), HOUR * 2);
            }
            _ => self.trouble(world, On::Everything, Trouble::Dated(SignedDuration::from_mins(-90)), HOUR),
        }
    }

    /// Where a slot is free.
    fn make(&mut self, world: &mut World, server: ServerId, kind: Kind, description: &str) {
        let progress = if self.chance.one_in(4) { Progress::InProgress } else { Progress::Completed };
        if world.twin.account.used(kind, server) < 5 {
            let item = Item::completed(kind, server, world.true_now()).named("stranger").described(description);
            world.add_item(item.progressed(progress));
        }
    }

    /// For a while, for some of the calls.
    fn trouble(&mut self, world: &mut World, on: On, trouble: Trouble, most: Duration) {
        let until = world.true_now().checked_add(self.chance.between(MINUTE, most)).unwrap();
        world.add_fault(Fault::new(on, trouble).until(until).one_in(1 + self.chance.below(2)));
    }
}
