//! Changed bytes anywhere in the files: the rows are right, or the file is set aside. Never a panic, never a wrong row.

use std::fs;

use super::super::samples::*;
use super::super::tests::open;
use super::super::*;
use super::tests::crashed_copy;
use crate::domain::problem::RunResult;

/// What a journal may come back as.
#[derive(Debug, PartialEq)]
struct Content {
    recollection: Recollection,
    history: HistoryRows,
}

fn content(journal: &mut SqliteJournal) -> Content {
    Content { recollection: journal.load(at(-1000)).unwrap(), history: journal.history(&HistoryFilter::all(10_000)).unwrap() }
}

fn batch(number: u64) -> Vec<Record> {
    let seconds = i64::try_from(number).unwrap();
    let (op, item) = (number * 2, number * 10);
    let mut batch = vec![
        run_started(number, number % 3, seconds),
        policy_text(op),
        policy_text(op + 1),
        create(op, number % 3, seconds),
        accepted(op, item, seconds),
        completed(op, seconds + 1),
        delete(op + 1, number % 3, item.saturating_sub(30), DeleteWhen::BeforeCreate, seconds),
        delete_ended(op + 1, DeleteEnd::Gone, seconds + 2),
        run_ended(number, RunResult::Success, seconds + 3),
        missed(number % 3, seconds, seconds),
        Record::TargetSeen { server: crate::domain::inventory::ServerId(number), kind: crate::domain::inventory::Kind::Backup, at: at(0) },
        hooks_begun(1000 + number, number % 3, seconds),
        hold(2000 + number, item, number % 3, seconds),
    ];
    batch.extend(number.is_multiple_of(2).then(|| hooks_ended(1000 + number, seconds + 4)));
    batch
}

/// A small generator with a seed, so that a failure can be repeated (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    /// Changes up to three bytes within the first `reach` ones.
    fn spoil(&mut self, bytes: &mut [u8], reach: usize) {
        for _ in 0..=self.below(3) {
            let place = self.below(reach.min(bytes.len()));
            bytes[place] ^= u8::try_from(1 + self.below(255)).unwrap();
        }
    }
}

/// Whether the file was set aside. If it was not, what it holds is one of `expected`.
fn opens_well(folder: &std::path::Path, expected: &[Content], what: &str) -> bool {
    let mut journal = open(folder);
    let found = content(&mut journal);
    if let Some(aside) = &found.recollection.set_aside {
        assert!(aside.exists() && found.recollection.fresh, "{what}");
        journal.append(&batch(1)).unwrap();
        return true;
    }
    assert!(expected.contains(&found), "{what}: {found:?}");
    false
}

#[test]
fn changed_bytes_in_the_file_are_noticed() {
    let folder = quick_folder();
    let mut journal = open(folder.path());
    for number in 1..=40 {
        journal.append(&batch(number)).unwrap();
    }
    let expected = [content(&mut journal)];
    journal.close().unwrap();
    let bytes = fs::read(folder.path().join(FILE_NAME)).unwrap();
    let mut set_aside = 0;
    for seed in 0..160 {
        let mut random = Random(seed);
        let mut spoilt = bytes.clone();
        // A quarter in the header, a quarter in the first page, the others anywhere.
        random.spoil(&mut spoilt, [100, 4096, usize::MAX, usize::MAX][usize::try_from(seed % 4).unwrap()]);
        let copy = quick_folder();
        fs::write(copy.path().join(FILE_NAME), &spoilt).unwrap();
        set_aside += u32::from(opens_well(copy.path(), &expected, &format!("seed {seed}")));
    }
    assert!(set_aside > 60, "only {set_aside} of 160");
}

#[test]
fn a_cut_file_is_noticed() {
    let folder = quick_folder();
    let mut journal = open(folder.path());
    journal.append(&batch(1)).unwrap();
    journal.close().unwrap();
    let bytes = fs::read(folder.path().join(FILE_NAME)).unwrap();
    for length in [1, 50, 99, 100, 512, 4095, 4096, 8192, bytes.len() / 2, bytes.len() - 4096, bytes.len() - 1] {
        let copy = quick_folder();
        fs::write(copy.path().join(FILE_NAME), &bytes[..length]).unwrap();
        assert!(opens_well(copy.path(), &[], &format!("length {length}")), "{length}");
    }
}

/// SQLite ends the log before the first commit whose check sum is wrong, as after a crash in the middle of writing it. So changed bytes there take
/// the newest commits away, as a whole, and nothing else.
#[test]
fn changed_bytes_in_the_log_leave_the_commits_before() {
    let folder = quick_folder();
    let mut journal = open(folder.path());
    let mut expected = vec![content(&mut journal)];
    for number in 1..=10 {
        journal.append(&batch(number)).unwrap();
        expected.push(content(&mut journal));
    }
    for seed in 0..60 {
        let copy = crashed_copy(&journal);
        let wal = copy.path().join("journal.sqlite3-wal");
        let mut bytes = fs::read(&wal).unwrap();
        Random(seed).spoil(&mut bytes, if seed % 4 == 0 { 64 } else { usize::MAX });
        fs::write(&wal, &bytes).unwrap();
        opens_well(copy.path(), &expected, &format!("seed {seed}"));
    }
}
