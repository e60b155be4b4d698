//! A map as a sorted row, for what is looked up far more often than it changes.
//!
//! What happens is mostly about one server after the other, and about each of them several times in a row: so a roster can be turned to a key, and looks
//! there first, then at the next one.

use std::cmp::Ordering;

/// Keys in their order, each with a value.
#[derive(Debug, Clone)]
pub struct Roster<K, V> {
    entries: Vec<(K, V)>,
    /// Where it is turned to. Whatever that is, what is found is the same.
    turned: usize,
}

impl<K, V> Default for Roster<K, V> {
    fn default() -> Roster<K, V> {
        Roster { entries: Vec::new(), turned: 0 }
    }
}

impl<K: Ord, V> Roster<K, V> {
    /// Of entries that come in their order, each key once.
    #[must_use]
    pub fn of_sorted(entries: Vec<(K, V)>) -> Roster<K, V> {
        debug_assert!(entries.is_sorted_by(|entry, next| entry.0 < next.0), "they come in their order");
        Roster { entries, turned: 0 }
    }

    /// Where a key is, or would be.
    #[inline]
    fn place(&self, key: &K) -> Result<usize, usize> {
        if self.entries.get(self.turned).is_some_and(|entry| entry.0 == *key) { Ok(self.turned) } else { self.search(key) }
    }

    #[inline(never)]
    fn search(&self, key: &K) -> Result<usize, usize> {
        let next = self.turned + 1;
        let is_past = self.entries.get(self.turned).is_some_and(|entry| entry.0 < *key);
        match self.entries.get(next).map(|entry| key.cmp(&entry.0)) {
            Some(Ordering::Equal) => Ok(next),
            Some(Ordering::Less) | None if is_past => Err(next),
            _ => self.entries.binary_search_by(|entry| entry.0.cmp(key)),
        }
    }

    /// Several questions about this key follow, and then some about the next one.
    #[inline]
    pub fn turn_to(&mut self, key: &K) {
        let next = self.turned + 1;
        if self.entries.get(next).is_some_and(|entry| entry.0 == *key) {
            self.turned = next;
        } else if let Ok(place) = self.place(key) {
            self.turned = place;
        }
    }

    /// The value of a key.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.place(key).ok().map(|place| &self.entries[place].1)
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.turned = self.place(key).ok()?;
        Some(&mut self.entries[self.turned].1)
    }

    /// Whether there is such a key.
    #[must_use]
    #[inline]
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// All entries, in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// All keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.iter().map(|(key, _)| key)
    }

    /// All values, in the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.iter_mut().map(|(_, value)| value)
    }

    /// All entries, in their order, to be kept.
    pub fn into_entries(self) -> impl Iterator<Item = (K, V)> {
        self.entries.into_iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes no more room than it needs.
    pub fn pack(&mut self) {
        self.entries.shrink_to_fit();
    }
}

impl<K: Ord + Copy, V: Default> Roster<K, V> {
    /// The value of a key, which is added if there is none. One that comes last is added at once, for any other those after it are moved.
    pub fn get_or_add(&mut self, key: K) -> &mut V {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, V::default()));
            place
        });
        self.turned = place;
        &mut self.entries[place].1
    }

    /// Adds those of these keys that there are not yet. They come in their order: each entry is moved once at most, however many are added.
    pub fn add_all(&mut self, keys: &[K]) {
        if keys.iter().all(|key| self.contains_key(key)) {
            return;
        }
        let mut entries = Vec::with_capacity(self.entries.len() + keys.len());
        let mut known = std::mem::take(&mut self.entries).into_iter().peekable();
        for key in keys {
            entries.extend(std::iter::from_fn(|| known.next_if(|entry| entry.0 <= *key)));
            if entries.last().is_none_or(|last: &(K, V)| last.0 != *key) {
                entries.push((*key, V::default()));
            }
        }
        entries.extend(known);
        *self = Roster::of_sorted(entries);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever was asked for before, the answer is that of any other map.
        #[test]
        fn a_roster_is_a_map(steps in proptest::collection::vec((0_u8..3, 0_u8..24), 0..200)) {
            let (mut roster, mut map) = (Roster::<u8, u8>::default(), BTreeMap::<u8, u8>::new());
            for (what, key) in steps {
                match what {
                    0 => *roster.get_or_add(key) += 1,
                    1 => roster.add_all(&[key, key + 2, key + 3]),
                    _ => roster.get_mut(&key).into_iter().for_each(|value| *value += 2),
                }
                match what {
                    0 => *map.entry(key).or_default() += 1,
                    1 => [key, key + 2, key + 3].into_iter().for_each(|key| _ = map.entry(key).or_default()),
                    _ => map.get_mut(&key).into_iter().for_each(|value| *value += 2),
                }
                roster.turn_to(&(key + what));
                prop_assert_eq!(roster.get(&key), map.get(&key));
                prop_assert_eq!(roster.contains_key(&(key + 1)), map.contains_key(&(key + 1)));
            }
            prop_assert_eq!(roster.len(), map.len());
            prop_assert!(roster.iter().eq(&map) && roster.keys().eq(map.keys()) && roster.values().eq(map.values()));
        }
    }
}
