//! One page of a listing. No entry is kept longer than it takes to convert it, and a long page is read as it arrives, so that it is never in memory as a
//! whole.

use std::fmt;
use std::io::{BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::gather::Gather;

/// How much is read at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Where the listing goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nowhere.
    End,
    /// There.
    Page(String),
    /// Somewhere, but the answer does not say it in a way that can be read.
    Unreadable,
}

/// A page: what it says of the whole, and its entries.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Page<G> {
    /// How many entries the whole listing has; a bare list does not say.
    pub(super) count: Option<u64>,
    pub(super) next: Next,
    pub(super) entries: G,
}

/// Reads `{count, results, next?}` or a bare list, up to the end of the input.
pub(super) fn read_page<G: Gather>(input: impl Read, entries: G) -> Result<Page<G>, serde_json::Error> {
    read(serde_json::Deserializer::from_reader(BufReader::with_capacity(BUFFER_BYTES, input)), entries)
}

/// The same of a page that is there already.
pub(super) fn read_whole_page<G: Gather>(input: &[u8], entries: G) -> Result<Page<G>, serde_json::Error> {
    read(serde_json::Deserializer::from_slice(input), entries)
}

fn read<'de, G: Gather>(
    mut deserializer: serde_json::Deserializer<impl serde_json::de::Read<'de>>,
    entries: G,
) -> Result<Page<G>, serde_json::Error> {
    let page = deserializer.deserialize_any(PageVisitor { entries })?;
    deserializer.end()?;
    Ok(page)
}

struct PageVisitor<G> {
    entries: G,
}

impl<'de, G: Gather> Visitor<'de> for PageVisitor<G> {
    type Value = Page<G>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or an object with `count` and `results`")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, seq: A) -> Result<Page<G>, A::Error> {
        EntriesSeed(&mut self.entries).visit_seq(seq)?;
        Ok(Page { count: None, next: Next::End, entries: self.entries })
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Page<G>, A::Error> {
        let (mut count, mut next, mut results) = (None, None, false);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "count" if count.is_some() => return Err(A::Error::duplicate_field("count")),
                "count" => count = Some(map.next_value::<u64>()?),
                "next" if next.is_some() => return Err(A::Error::duplicate_field("next")),
                "next" => next = Some(read_next(&map.next_value::<Box<RawValue>>()?)),
                "results" if results => return Err(A::Error::duplicate_field("results")),
                "results" => {
                    map.next_value_seed(EntriesSeed(&mut self.entries))?;
                    results = true;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if !results {
            return Err(A::Error::missing_field("results"));
        }
        // Without `count` there is no telling whether this is everything.
        let count = count.ok_or_else(|| A::Error::missing_field("count"))?;
        Ok(Page { count: Some(count), next: next.unwrap_or(Next::End), entries: self.entries })
    }
}

fn read_next(raw: &RawValue) -> Next {
    match serde_json::from_str::<Option<String>>(raw.get()) {
        Ok(None) => Next::End,
        Ok(Some(link)) if link.is_empty() => Next::End,
        Ok(Some(link)) => Next::Page(link),
        Err(_) => Next::Unreadable,
    }
}

/// Hands the entries of a list over one by one.
struct EntriesSeed<'g, G>(&'g mut G);

impl<'de, G: Gather> DeserializeSeed<'de> for EntriesSeed<'_, G> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, G: Gather> Visitor<'de> for EntriesSeed<'_, G> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<Box<RawValue>>()? {
            self.0.entry(&raw);
        }
        Ok(())
    }
}
