//! The runs that are on, one a server.

use crate::domain::inventory::ServerId;
use crate::domain::roster::Roster;
use crate::domain::run::Run;

/// The runs that are on. A server keeps its place for the next one, so that beginning, stepping and ending a run costs no more than finding it.
#[derive(Debug, Default)]
pub(super) struct Ongoing {
    places: Roster<ServerId, Option<Box<Run>>>,
    /// How many there are, those included that are taken out for a step.
    count: usize,
}

impl Ongoing {
    /// There will be runs on these servers. They come in their order.
    pub fn expect(&mut self, servers: &[ServerId]) {
        self.places.add_all(servers);
    }

    /// Several questions about this server follow.
    pub fn turn_to(&mut self, server: ServerId) {
        self.places.turn_to(&server);
    }

    pub fn insert(&mut self, server: ServerId, run: Run) {
        if self.places.get_or_add(server).replace(Box::new(run)).is_none() {
            self.count += 1;
        }
    }

    /// Takes a run out for a step, until it is put back.
    pub fn take(&mut self, server: ServerId) -> Option<Box<Run>> {
        self.places.get_mut(&server)?.take()
    }

    pub fn put_back(&mut self, server: ServerId, run: Box<Run>) {
        *self.places.get_or_add(server) = Some(run);
    }

    pub fn remove(&mut self, server: ServerId) -> Option<Box<Run>> {
        let run = self.take(server)?;
        self.count -= 1;
        Some(run)
    }

    pub fn get(&self, server: ServerId) -> Option<&Run> {
        self.places.get(&server)?.as_deref()
    }

    pub fn get_mut(&mut self, server: ServerId) -> Option<&mut Run> {
        self.places.get_mut(&server)?.as_deref_mut()
    }

    pub fn contains(&self, server: ServerId) -> bool {
        self.get(server).is_some()
    }

    /// By server.
    pub fn iter(&self) -> impl Iterator<Item = (ServerId, &Run)> {
        self.places.iter().filter_map(|(server, run)| Some((*server, run.as_deref()?)))
    }

    pub fn values(&self) -> impl Iterator<Item = &Run> {
        self.iter().map(|(_, run)| run)
    }

    pub fn len(&self) -> usize {
        self.count
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
