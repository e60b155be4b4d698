//! Faults in what the provider has: the fate of created items, and how lists look.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::behaviour::{Edit, Stale};
use super::faults::Fault;
use super::item::Progress;

/// What becomes of the items that are created.
impl Fault {
    /// They take this long.
    #[must_use]
    pub fn takes(mut self, time: Duration) -> Fault {
        self.behaviour.fate.after = Some(time);
        self
    }

    /// They fail in the end.
    #[must_use]
    pub fn fails(mut self) -> Fault {
        self.behaviour.fate.end = Progress::Failed;
        self
    }

    /// They have failed when the answer is written.
    #[must_use]
    pub fn fails_at_once(self) -> Fault {
        self.fails().takes(Duration::ZERO)
    }

    /// They stay in progress for ever.
    #[must_use]
    pub fn never_completes(mut self) -> Fault {
        self.behaviour.fate.end = Progress::InProgress;
        self
    }

    /// They end with this word as their status.
    #[must_use]
    pub fn ends_as(mut self, word: &str) -> Fault {
        self.behaviour.fate.end = Progress::from_word(word);
        self
    }
}

/// How lists look.
impl Fault {
    /// As the account was this long ago.
    #[must_use]
    pub fn stale(mut self, age: Duration) -> Fault {
        self.behaviour.lens.stale = Stale::By(age);
        self
    }

    /// As the account was right before the last create or delete.
    #[must_use]
    pub fn before_last_write(mut self) -> Fault {
        self.behaviour.lens.stale = Stale::BeforeLastWrite;
        self
    }

    /// With the items of all servers, whatever `server_id` says.
    #[must_use]
    pub fn ignore_filter(mut self) -> Fault {
        self.behaviour.lens.ignores_filter = true;
        self
    }

    /// In pages of this size, with `next` links. The later pages are served whether or not the fault hits them too.
    #[must_use]
    pub fn paged(mut self, size: usize) -> Fault {
        self.behaviour.lens.page_size = Some(size);
        self
    }

    /// In pages whose `next` points to another origin, such as `http://127.0.0.1:1`.
    #[must_use]
    pub fn paged_at(mut self, size: usize, origin: &str) -> Fault {
        self.behaviour.lens.next_origin = Some(origin.to_owned());
        self.paged(size)
    }

    /// Without its last `entries`, while `count` still counts them.
    #[must_use]
    pub fn drop_entries(self, entries: usize) -> Fault {
        self.edit_results(move |results| results.truncate(results.len().saturating_sub(entries)))
    }

    /// With this `count`.
    #[must_use]
    pub fn count_says(self, count: u64) -> Fault {
        self.edit(move |body| body["count"] = json!(count))
    }

    /// Empty, and consistent with itself.
    #[must_use]
    pub fn empty(self) -> Fault {
        self.edit_results(Vec::clear).count_says(0)
    }

    /// With its first entry twice, counted twice.
    #[must_use]
    pub fn duplicate_entry(self) -> Fault {
        self.edit(|body| {
            let count = body["count"].as_u64().unwrap_or(0);
            if let Some(results) = body["results"].as_array_mut()
                && let Some(first) = results.first().cloned()
            {
                results.push(first);
                body["count"] = json!(count + 1);
            }
        })
    }

    /// With a first entry that lacks this field.
    #[must_use]
    pub fn unreadable_entry(self, field: &str) -> Fault {
        let field = field.to_owned();
        self.edit_results(move |results| {
            if let Some(first) = results.first_mut().and_then(Value::as_object_mut) {
                first.remove(&field);
            }
        })
    }

    /// As a bare array instead of an object with `count` and `results`.
    #[must_use]
    pub fn bare_array(self) -> Fault {
        self.edit(|body| *body = body["results"].take())
    }

    /// With the results changed in place; `count` stays.
    #[must_use]
    pub fn edit_results(self, edit: impl Fn(&mut Vec<Value>) + Send + Sync + 'static) -> Fault {
        self.edit(move |body| {
            if let Some(results) = body["results"].as_array_mut() {
                edit(results);
            }
        })
    }

    /// With the whole JSON body of the right answer changed, of a list or of anything else. Edits are applied in the order of adding.
    #[must_use]
    pub fn edit(mut self, edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Fault {
        self.behaviour.edits.push(Edit(Arc::new(edit)));
        self
    }

    /// A 201 that names another server than was asked for; the item is made on the right one.
    #[must_use]
    pub fn wrong_server(self, id: u64) -> Fault {
        self.edit(move |body| body["server"] = json!({"id": id, "name": "another-server"}))
    }
}
