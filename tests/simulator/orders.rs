//! What people order to stand while a history goes on: items are held, runs are paused, nothing is deleted after a restore; and the ends of all that.

use std::time::Duration;

use snapwarden::controller::Input;
use snapwarden::domain::fact::Fact;
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::domain::standing::{Ask, HeldItem, Order, Selection};
use snapwarden::simulate::{Chance, World};

use crate::story::{HOUR, MINUTE};

/// Who orders, and what comes of chance for it.
pub struct Orders {
    chance: Chance,
    given: u64,
    servers: u64,
}

impl Orders {
    /// Orders about so many servers.
    pub fn new(seed: u64, servers: u64) -> Orders {
        // Its draws are its own, so that without orders a history is what it was.
        Orders { chance: Chance::new(!seed), given: 0, servers }
    }

    /// Something is ordered of a daemon, in one case of three.
    pub fn now_and_then(&mut self, world: &mut World) {
        if !self.chance.one_in(3) {
            return;
        }
        let server = ServerId(1 + self.chance.below(self.servers));
        let lasts = self.chance.between(MINUTE * 5, HOUR * 4);
        let what = match self.chance.below(12) {
            0..=3 => self.item(world).map(|held| Ask::Hold(held, lasts)),
            4 => self.item(world).map(|held| Ask::Release(held.kind, held.item)),
            5 | 6 => Some(Ask::Pause(self.selection(server), lasts)),
            7 => Some(Ask::Resume(self.selection(server))),
            8 => self.item(world).map(Ask::Restore),
            9 => Some(Ask::Deletes(server)),
            10 => self.going(world).map(|held| Ask::Hold(held, lasts)),
            _ => self.going(world).map(Ask::Restore),
        };
        let place = self.chance.below(world.hosts.len() as u64) as usize;
        if let Some(what) = what {
            self.give(world, place, what);
        }
    }

    /// All that stands on the first machine is ended.
    pub fn end_all(&mut self, world: &mut World) {
        self.give(world, 0, Ask::Resume(Selection::default()));
        (1..=self.servers).for_each(|server| self.give(world, 0, Ask::Deletes(ServerId(server))));
        for kind in Kind::ALL {
            let there: Vec<ItemId> = world.twin.account.items(kind).map(|item| item.id).collect();
            there.into_iter().for_each(|item| self.give(world, 0, Ask::Release(kind, item)));
        }
        let written = world.elapsed() + Duration::from_secs(10);
        world.run_to(written);
    }

    fn give(&mut self, world: &mut World, place: usize, what: Ask) {
        self.given += 1;
        world.note(|| format!("{place}: ordered: {what:?}"));
        world.hand_to(place, Input::Order(self.given, Box::new(Order { what, reason: "it must be".into(), by: "somebody".into() })));
    }

    /// An item that is just being deleted, if that comes within an hour. By the time it is ordered about it may be gone, or in doubt.
    fn going(&mut self, world: &mut World) -> Option<HeldItem> {
        let deletes = |world: &World| world.hosts[0].calls.get("delete").copied();
        let (before, end) = (deletes(world), world.elapsed() + HOUR);
        while deletes(world) == before && world.elapsed() < end && world.breaches.is_empty() {
            world.turn(end);
        }
        let sent = world.hosts[0].facts.iter().rev().find_map(|(_, fact)| match fact {
            Fact::DeleteSent { target, item, .. } => Some((target.clone(), *item)),
            _ => None,
        });
        if self.chance.one_in(2) {
            let later = world.elapsed() + self.chance.between(Duration::ZERO, MINUTE);
            world.run_to(later);
        }
        let (target, item) = sent.filter(|_| deletes(world) != before)?;
        Some(HeldItem { kind: target.kind, item, name: None, server: target.server, server_name: target.server_name.to_string().into() })
    }

    /// An item that is there; the oldest, which is to go next, as often as any.
    fn item(&mut self, world: &World) -> Option<HeldItem> {
        let kind = if self.chance.one_in(4) { Kind::Backup } else { Kind::Snapshot };
        let mut there: Vec<_> = world.twin.account.items(kind).filter(|item| item.server.0 <= self.servers).collect();
        there.sort_by_key(|item| (item.created_at, item.id));
        let oldest = self.chance.one_in(2).then(|| there.first().copied()).flatten();
        let item = oldest.or_else(|| self.chance.one_of(&there).copied())?;
        let server_name = format!("web-{}", item.server).into();
        Some(HeldItem { kind, item: item.id, name: None, server: item.server, server_name })
    }

    /// Everything, or a server, or one kind of it.
    fn selection(&mut self, server: ServerId) -> Selection {
        let servers = if self.chance.one_in(3) { Vec::new() } else { vec![server.to_string().into()] };
        let kinds = if self.chance.one_in(3) { vec![Kind::Snapshot] } else { Vec::new() };
        Selection { servers, kinds, ..Selection::default() }
    }
}
