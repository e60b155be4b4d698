//! What is to happen, in the order of its time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// What is to happen; of what is to happen at the same time, the first to be noted comes first.
#[derive(Debug)]
pub(super) struct Agenda<E> {
    /// When, the how-manieth that was noted, and its place.
    order: BinaryHeap<Reverse<(Duration, u64, usize)>>,
    /// Places are used again, so that what comes and goes need not be allocated each time.
    places: Vec<Option<E>>,
    free: Vec<usize>,
    noted: u64,
}

impl<E> Agenda<E> {
    pub fn new() -> Agenda<E> {
        Agenda { order: BinaryHeap::new(), places: Vec::new(), free: Vec::new(), noted: 0 }
    }

    /// When the next one is to happen.
    pub fn next_at(&self) -> Option<Duration> {
        self.order.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn note(&mut self, at: Duration, event: E) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.places[place] = Some(event);
        self.noted += 1;
        self.order.push(Reverse((at, self.noted, place)));
    }

    /// The next one happens.
    pub fn take_next(&mut self) -> Option<E> {
        let Reverse((.., place)) = self.order.pop()?;
        self.free.push(place);
        self.places[place].take()
    }

    /// Whether the next one is to happen at this time, and is of this sort.
    pub fn is_next_at(&self, at: Duration, is_meant: impl Fn(&E) -> bool) -> bool {
        self.order.peek().is_some_and(|Reverse((time, _, place))| *time == at && self.places[*place].as_ref().is_some_and(is_meant))
    }

    /// Takes out the first one that is of this sort: it does not happen.
    pub fn take_out(&mut self, is_meant: impl Fn(&E) -> bool) -> Option<E> {
        let meant = |place: usize| self.places[place].as_ref().is_some_and(&is_meant);
        let first = self.order.iter().map(|Reverse(entry)| *entry).filter(|(.., place)| meant(*place)).min()?;
        self.order.retain(|Reverse(entry)| *entry != first);
        self.free.push(first.2);
        self.places[first.2].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_happens_in_its_time_and_once() {
        let at = Duration::from_secs;
        let mut agenda = Agenda::new();
        for (time, event) in [(3, 'd'), (1, 'a'), (2, 'c'), (1, 'b'), (3, 'e')] {
            agenda.note(at(time), event);
        }
        assert_eq!((agenda.take_next(), agenda.next_at()), (Some('a'), Some(at(1))));
        assert_eq!(agenda.take_out(|event| "edc".contains(*event)), Some('c'));
        agenda.note(at(2), 'f');
        assert_eq!(agenda.take_out(|event| *event == 'c'), None);
        let next = [(1, 'b'), (2, 'b'), (1, 'f')].map(|(time, event)| agenda.is_next_at(at(time), |next| *next == event));
        assert_eq!(next, [true, false, false]);
        let rest: Vec<char> = std::iter::from_fn(|| agenda.take_next()).collect();
        assert_eq!((rest, agenda.next_at(), agenda.places.len()), (vec!['b', 'f', 'd', 'e'], None, 5));
    }
}
