//! Whatever is answered and shown, a run ends, and never takes a good item that is needed.

use proptest::prelude::*;

use super::*;
use crate::domain::testing::foreign;

/// What the provider really has, and what of a write is still to be answered.
struct World {
    story: Story,
    items: Vec<Item>,
    sent: Option<String>,
    made: u64,
}

impl World {
    fn note(&mut self, told: Vec<String>) {
        self.sent = told.into_iter().rfind(|text| text.starts_with("send")).or(self.sent.take());
    }

    /// Carries the write out, as far as the provider lets it be done.
    fn commit(&mut self, sent: &str) -> bool {
        let Some(id) = sent.strip_prefix("send delete ") else {
            let fits = self.items.len() < 5;
            if fits {
                self.made += 1;
                self.items.push(Item { id: ItemId(899 + self.made), ..coming(Status::InProgress) });
            }
            return fits;
        };
        let id = ItemId(id.parse().unwrap());
        if let Some(item) = self.items.iter().find(|item| item.id == id) {
            assert_ne!(&*item.description, "by a person", "others' items stay");
            assert_ne!(item.status, Status::InProgress);
            let good = |item: &&Item| item.status == Status::Completed && &*item.description != "by a person";
            let newest = self.items.iter().filter(good).max_by_key(|item| (item.created_at, item.id)).map(|item| item.id);
            assert_ne!(newest, Some(id), "the newest good one stays");
        }
        self.items.retain(|item| item.id != id);
        true
    }

    fn answer(&mut self, choice: u8) {
        let op = self.story.in_flight[0];
        if !self.story.recorded.contains(&op) {
            if choice.is_multiple_of(16) {
                self.story.in_flight.pop();
                let told = self.story.step(Event::NotRecorded(op, "full".to_owned()));
                return self.note(told);
            }
            let told = self.story.recorded();
            return self.note(told);
        }
        let sent = self.sent.take().unwrap();
        let create = sent == "send create";
        let done = matches!(choice % 8, 0..=4) && self.commit(&sent);
        let told = match (choice % 8, create) {
            (0..=3, true) if done => self.story.created(self.items.last().unwrap().clone()),
            (0..=3, true) => self.story.create_fails(SetbackKind::Refused),
            (0..=3, false) => self.story.deleted(),
            (4 | 5, true) => self.story.create_fails(SetbackKind::Doubtful),
            (4 | 5, false) => self.story.delete_fails(SetbackKind::Doubtful),
            (6, true) => self.story.create_fails(SetbackKind::Refused),
            (6, false) => self.story.delete_fails(SetbackKind::Refused),
            (_, true) => self.story.create_fails(SetbackKind::NotSent),
            (_, false) => self.story.delete_fails(SetbackKind::NotSent),
        };
        self.note(told);
    }

    fn live(&mut self, choice: u8) {
        if !self.story.in_flight.is_empty() {
            self.story.pass(u64::from(choice / 16));
            return self.answer(choice);
        }
        self.story.pass(u64::from(choice / 4));
        if let Some(item) = self.items.iter_mut().find(|item| item.status == Status::InProgress)
            && !choice.is_multiple_of(3)
        {
            item.status = if choice.is_multiple_of(7) { Status::Failed } else { Status::Completed };
        }
        if choice == 77 && self.items.len() < 5 {
            self.items.push(foreign(400 + self.story.second, 1));
        }
        let told = match choice % 5 {
            0 if !self.items.is_empty() => self.story.show_partly(&self.items[1..], 1),
            1 => self.story.look(),
            _ => self.story.show(&self.items.clone()),
        };
        self.note(told);
    }
}

proptest! {
    #[test]
    fn it_ends_and_takes_nothing_that_is_needed(
        ours in 0..6u64,
        keep in prop::sample::select(vec!["last=1", "last=4", "last=5"]),
        choices in prop::collection::vec(any::<u8>(), 0..120),
    ) {
        let mut items = some(ours);
        items.extend((ours..4).map(|id| foreign(300 + id, 50)));
        let mut world = World { story: Story::new(keep), items, sent: None, made: 0 };
        for choice in choices {
            if world.story.ended.is_none() {
                world.live(choice);
            }
        }
        // From now on all goes well: complete listings, and every write is done.
        for _ in 0..400 {
            if world.story.ended.is_none() {
                world.live(82);
            }
        }
        prop_assert!(world.story.ended.is_some(), "{:?}", world.story.run);
        prop_assert!(world.made <= u64::from(CREATES_MAX));
    }
}
