//! What only the journal on disk can get wrong: crashes, full disks, versions, access.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::super::fold::Counters;
use super::super::samples::*;
use super::super::tests::open;
use super::super::*;
use super::cells::Stored;
use super::*;
use crate::clock::SystemClock;
use crate::domain::problem::RunResult;

fn creates(journal: &mut dyn Recall) -> Vec<u64> {
    journal.load(at(0)).unwrap().creates.iter().map(|row| row.intent.op.0).collect()
}

/// What a crash at this moment would leave: the files as they are, nothing tidied.
pub(super) fn crashed_copy(journal: &SqliteJournal) -> tempfile::TempDir {
    let copy = quick_folder();
    for side in ["", "-wal"] {
        let name = format!("{FILE_NAME}{side}");
        fs::copy(journal.files.main().with_file_name(&name), copy.path().join(&name)).unwrap();
    }
    copy
}

#[test]
fn everything_acknowledged_survives_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    for op in 1..=20 {
        journal.append(&[create(op, 1, 0)]).unwrap();
        let copy = crashed_copy(&journal);
        assert_eq!(creates(&mut open(copy.path())), (1..=op).collect::<Vec<_>>());
    }
    let expected = journal.load(at(0)).unwrap();
    drop(journal);
    assert!(fs::metadata(folder.path().join("journal.sqlite3-wal")).unwrap().len() > 0, "dropping does not tidy");
    assert_eq!(open(folder.path()).load(at(0)).unwrap(), expected);
}

#[test]
fn a_torn_log_ends_before_the_torn_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    let wal = folder.path().join("journal.sqlite3-wal");
    let before = fs::metadata(&wal).unwrap().len();
    journal.append(&[create(2, 1, 0), create(3, 1, 0)]).unwrap();
    let after = fs::metadata(&wal).unwrap().len();
    for length in [before, before + 1, (before + after) / 2, after - 1] {
        let copy = crashed_copy(&journal);
        fs::OpenOptions::new().write(true).open(copy.path().join("journal.sqlite3-wal")).unwrap().set_len(length).unwrap();
        assert_eq!(creates(&mut open(copy.path())), [1], "cut at {length} of {after}");
    }
}

#[test]
fn closing_moves_the_log_into_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    journal.close().unwrap();
    drop(journal);
    let alone = tempfile::tempdir().unwrap();
    fs::copy(folder.path().join(FILE_NAME), alone.path().join(FILE_NAME)).unwrap();
    assert_eq!(creates(&mut open(alone.path())), [1]);
}

#[test]
fn every_commit_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    let connection = journal.connection.as_ref().unwrap();
    let full = 2;
    assert_eq!(connection.pragma_query_value(None, "synchronous", |row| row.get::<_, i32>(0)).unwrap(), full);
    assert_eq!(connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0)).unwrap(), "wal");
}

#[test]
fn a_full_disk_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    let connection = journal.connection.as_ref().unwrap();
    let pages: u32 = connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    connection.pragma_update_and_check(None, "max_page_count", pages + 1, |_| Ok(())).unwrap();
    let mut last = 1;
    let error = loop {
        match journal.append(&[create(last + 1, 1, 0), create(last + 2, 1, 0)]) {
            Ok(()) => last += 2,
            Err(error) => break error,
        }
        assert!(last < 10_000, "the limit was never reached");
    };
    assert!(matches!(error, JournalError::Full { .. }), "{error:?}");
    assert_eq!(creates(&mut journal), (1..=last).collect::<Vec<_>>());
    let connection = journal.connection.as_ref().expect("a full disk does not spoil the connection");
    connection.pragma_update_and_check(None, "max_page_count", 1_000_000, |_| Ok(())).unwrap();
    journal.append(&[create(last + 1, 1, 0)]).unwrap();
}

#[test]
fn after_an_io_error_the_file_is_opened_afresh() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    for error in [JournalError::Io { detail: String::new() }, JournalError::corrupt("")] {
        let op = journal.load(at(0)).unwrap().next_op.0;
        drop(journal.with(|_| Err::<(), _>(error)));
        assert!(journal.connection.is_none());
        journal.append(&[create(op, 1, 0)]).unwrap();
        assert!(journal.connection.is_some());
    }
    drop(journal.with(|_| Err::<(), _>(JournalError::rejected(""))));
    assert!(journal.connection.is_some());
    assert_eq!(creates(&mut journal), [1, 2]);
}

#[test]
fn damage_in_the_middle_of_the_work_is_set_aside_only_by_load() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    let connection = journal.connection.as_ref().unwrap();
    connection.execute("UPDATE creates SET attempt = 2", []).unwrap();
    assert!(matches!(journal.append(&[accepted(1, 10, 0)]), Err(JournalError::Corrupt { .. })));
    assert!(matches!(journal.append(&[create(2, 1, 0)]), Err(JournalError::Corrupt { .. })), "proved again when opened again");
    let anew = journal.load(at(0)).unwrap();
    assert!(anew.fresh && anew.creates.is_empty());
    let aside = anew.set_aside.unwrap();
    assert!(fs::read(&aside).unwrap().starts_with(b"SQLite format 3"), "{}", aside.display());
    journal.append(&[create(1, 1, 0)]).unwrap();
    assert_eq!(creates(&mut journal), [1]);
}

#[test]
fn changed_tables_are_damage() {
    let folder = tempfile::tempdir().unwrap();
    for change in ["ALTER TABLE meta RENAME COLUMN next_run TO next_rum", "CREATE TABLE other (id INTEGER)", "DROP TABLE missed"] {
        let journal = open(folder.path());
        journal.connection.as_ref().unwrap().execute_batch(change).unwrap();
        drop(journal);
        assert!(open(folder.path()).load(at(0)).unwrap().set_aside.is_some(), "{change}");
    }
}

#[test]
fn two_damaged_journals_within_one_second_have_two_names() {
    let folder = tempfile::tempdir().unwrap();
    let mut names = std::collections::BTreeSet::new();
    for _ in 0..3 {
        fs::write(folder.path().join(FILE_NAME), "not a database, and longer than a header of one").unwrap();
        fs::write(folder.path().join("journal.sqlite3-wal"), "a log of it").unwrap();
        let aside = open(folder.path()).load(at(0)).unwrap().set_aside.unwrap();
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("journal.damaged-2"));
        names.insert(aside);
    }
    assert_eq!(names.len(), 3);
}

#[test]
fn a_log_without_its_file_is_not_played_into_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    drop(journal);
    fs::remove_file(folder.path().join(FILE_NAME)).unwrap();
    let anew = open(folder.path()).load(at(0)).unwrap();
    assert!(anew.fresh && anew.set_aside.is_none());
}

#[test]
fn the_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let mut journal = open(&state);
    journal.append(&[create(1, 1, 0)]).unwrap();
    for name in [FILE_NAME, "journal.sqlite3-wal", "journal.sqlite3-shm"] {
        assert_eq!(fs::metadata(state.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
}

/// Root orders something while the daemon, another user, is off.
#[test]
fn what_root_makes_belongs_to_the_owner_of_the_folder() {
    const DAEMON: u32 = 61_184;
    let folder = tempfile::tempdir().unwrap();
    if std::os::unix::fs::chown(folder.path(), Some(DAEMON), Some(DAEMON)).is_err() {
        eprintln!("SKIPPED: only root can make files for another user");
        return;
    }
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    for name in ["lock", FILE_NAME, "journal.sqlite3-wal", "journal.sqlite3-shm"] {
        let file = fs::metadata(folder.path().join(name)).unwrap();
        assert_eq!((file.uid(), file.gid()), (DAEMON, DAEMON), "{name}");
    }
}

#[test]
fn a_folder_in_place_of_the_file_is_an_error_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
    let lock = StateLock::acquire(folder.path()).unwrap();
    let error = SqliteJournal::open(lock, Arc::new(SystemClock::new())).err().unwrap();
    assert!(matches!(error, JournalError::Io { .. }), "{error:?}");
    assert!(folder.path().join(FILE_NAME).is_dir());
}

#[test]
fn a_reader_sees_what_a_daemon_writes() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(JournalReader::open(folder.path()).err(), Some(JournalError::Missing { .. })));
    let mut journal = open(folder.path());
    let mut reader = JournalReader::open(folder.path()).unwrap();
    for op in 1..=3 {
        journal.append(&[create(op, 1, 0)]).unwrap();
        assert_eq!(creates(&mut reader).len() as u64, op);
    }
    assert_eq!(reader.history(&HistoryFilter::all(2)).unwrap().creates.len(), 2);
    let write = reader.connection_for_tests().execute("DELETE FROM creates", []);
    assert!(write.is_err());
    // Neither does a reader in the middle of a look hold the writer up.
    reader.connection_for_tests().execute_batch("BEGIN; SELECT count(*) FROM creates").unwrap();
    journal.append(&[create(4, 1, 0)]).unwrap();
    journal.close().unwrap();
    drop((journal, reader));
    assert_eq!(creates(&mut JournalReader::open(folder.path()).unwrap()), [1, 2, 3, 4], "without a daemon too");
}

#[test]
fn the_lock_is_held_as_long_as_the_journal_is_open() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path());
    assert!(matches!(StateLock::acquire(folder.path()), Err(LockError::Held { .. })));
    drop(journal);
    StateLock::acquire(folder.path()).unwrap();
}

/// A later version, as one will be.
static LATER: Schema = Schema {
    version: 6,
    tables: "",
    steps: &[
        schema::Step {
            from: 4,
            widened: &[],
            change: |transaction| Ok(transaction.execute_batch("CREATE TABLE pauses (server INTEGER) STRICT")?),
        },
        schema::Step { from: 5, widened: &[], change: |transaction| Ok(transaction.execute_batch("INSERT INTO pauses VALUES (7)")?) },
    ],
};

/// A later version whose last step is wrong.
static FAILING: Schema = Schema {
    version: 6,
    tables: "",
    steps: &[
        schema::Step {
            from: 4,
            widened: &[],
            change: |transaction| Ok(transaction.execute_batch("CREATE TABLE pauses (server INTEGER) STRICT")?),
        },
        schema::Step { from: 5, widened: &[], change: |transaction| Ok(transaction.execute_batch("INSERT INTO posers VALUES (7)")?) },
    ],
};

fn open_as(folder: &Path, schema: &'static Schema) -> Result<SqliteJournal, JournalError> {
    SqliteJournal::open_as(StateLock::acquire(folder).unwrap(), Arc::new(SystemClock::new()), schema)
}

#[test]
fn an_older_file_is_brought_up_to_date_and_a_copy_kept() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = open(folder.path());
    journal.append(&[create(1, 1, 0)]).unwrap();
    drop(journal);
    assert!(matches!(open_as(folder.path(), &FAILING).err(), Some(JournalError::Io { .. })), "a mistake of ours is no damage");
    assert_eq!(creates(&mut open(folder.path())), [1], "a failed step changes nothing");

    let mut journal = open_as(folder.path(), &LATER).unwrap();
    assert_eq!(creates(&mut journal), [1]);
    assert_eq!(journal.load(at(0)).unwrap().next_op, OpId(2));
    let paused: u32 = journal.connection.as_ref().unwrap().query_row("SELECT server FROM pauses", [], |row| row.get(0)).unwrap();
    assert_eq!(paused, 7);
    drop(journal);

    let copy = folder.path().join("journal.v4.sqlite3");
    assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let elsewhere = tempfile::tempdir().unwrap();
    fs::copy(&copy, elsewhere.path().join(FILE_NAME)).unwrap();
    assert_eq!(creates(&mut open(elsewhere.path())), [1], "the copy is a whole journal of the older version");
}

/// The journal before it knew of hooks and of orders that stand.
static WITHOUT_HOOKS: Schema = Schema { version: 1, tables: include_str!("schema.sql"), steps: &[] };

#[test]
fn a_file_of_version_1_is_brought_up_to_date() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(folder.path());
    files.prepare().unwrap();
    let mut connection = connect(files.main(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    WITHOUT_HOOKS.make(&mut connection).unwrap();
    let Record::CreateIntent(intent) = create(1, 1, 0) else { unreachable!() };
    let row = CreateRow { intent, seq: 1, state: CreateState::Intended, item: None, accepted_at: None, ended: None, gone: None };
    cells::put_narrow(&connection, &row, widen::VERSION_3[0].before);
    let counters = schema::counters(&connection).unwrap();
    schema::put_counters(&connection, Counters { next_op: 2, next_seq: 2, ..counters }).unwrap();
    drop(connection);

    let mut journal = open(folder.path());
    let before = journal.load(at(0)).unwrap();
    assert_eq!((creates(&mut journal), before.set_aside, before.hooks), (vec![1], None, vec![]));
    journal.append(&[hooks_begun(2, 1, 5)]).unwrap();
    drop(journal);
    let mut journal = open(folder.path());
    assert_eq!(journal.load(at(0)).unwrap().hooks.len(), 1);
    journal.append(&[hold(3, 801, 1, 5)]).unwrap();
    drop(journal);
    assert_eq!(open(folder.path()).load(at(0)).unwrap().orders.len(), 1);
    assert!(folder.path().join("journal.v1.sqlite3").is_file());
}

/// The journal before it knew the texts of policies.
static WITHOUT_TEXTS: Schema = Schema { version: 2, tables: concat!(include_str!("schema.sql"), include_str!("version2.sql")), steps: &[] };

/// A file of version 2 with a create, a delete and a run, as that version wrote them.
fn file_of_version_2(folder: &Path) -> (CreateRow, DeleteRow, RunRow) {
    let files = Files::new(folder);
    files.prepare().unwrap();
    let mut connection = connect(files.main(), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    WITHOUT_TEXTS.make(&mut connection).unwrap();
    let mut memory = MemoryJournal::new();
    memory.append(&[create(1, 1, 0), accepted(1, 10, 1), completed(1, 2), gone(10, true, 3)]).unwrap();
    memory.append(&[delete(2, 1, 9, DeleteWhen::AfterCreate, 4), delete_ended(2, DeleteEnd::Gone, 5)]).unwrap();
    memory.append(&[run_started(4, 1, 6), run_ended(4, RunResult::Success, 7)]).unwrap();
    let HistoryRows { mut creates, mut deletes, mut runs, .. } = memory.history(&HistoryFilter::all(9)).unwrap();
    let (mut create, mut delete, mut run) = (creates.remove(0), deletes.remove(0), runs.remove(0));
    create.intent = CreateIntent { policy_text: None, ..(*create.intent).clone() }.into();
    delete.intent = DeleteIntent { policy_text: None, newest_created_at: None, ..(*delete.intent).clone() }.into();
    run.start = RunStart { by: None, ..(*run.start).clone() }.into();
    cells::put_narrow(&connection, &create, widen::VERSION_3[0].before);
    cells::put_narrow(&connection, &delete, widen::VERSION_3[1].before);
    cells::put_narrow(&connection, &run, widen::VERSION_3[2].before);
    schema::put_counters(&connection, Counters { next_op: 3, next_run: 5, next_seq: 9 }).unwrap();
    (create, delete, run)
}

#[test]
fn a_file_of_version_2_is_brought_up_to_date_with_what_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (create_row, delete_row, run_row) = file_of_version_2(folder.path());
    assert_eq!(JournalReader::open(folder.path()).err(), Some(JournalError::Older { found: 2, known: 4 }));
    let mut journal = open(folder.path());
    let told = journal.history(&HistoryFilter::all(9)).unwrap();
    assert_eq!((told.creates, told.deletes, told.runs), (vec![create_row], vec![delete_row], vec![run_row]));
    assert!(told.texts.is_empty() && journal.load(at(0)).unwrap().set_aside.is_none());
    journal.append(&[policy_text(3), create(3, 1, 8), run_started(6, 1, 8)]).unwrap();
    drop(journal);
    let told = open(folder.path()).history(&HistoryFilter::all(9)).unwrap();
    assert_eq!((told.creates.len(), told.runs[0].start.by.as_deref(), told.texts), (2, Some("änne"), vec![policy(3).into()]));
    assert!(folder.path().join("journal.v2.sqlite3").is_file());
}

/// A new check sum must not make a damaged row a good one.
#[test]
fn a_damaged_row_of_an_older_file_is_found_before_it_is_brought_up_to_date() {
    let changes = ["UPDATE creates SET attempt = 2", "UPDATE deletes SET reason = 'none'", "UPDATE runs SET result = 'failure'"];
    for change in changes {
        let folder = tempfile::tempdir().unwrap();
        file_of_version_2(folder.path());
        let connection = connect(&folder.path().join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
        connection.execute(change, []).unwrap();
        drop(connection);
        let anew = open(folder.path()).load(at(0)).unwrap();
        assert!(anew.fresh && anew.set_aside.is_some(), "{change}");
    }
}

#[test]
fn a_table_is_as_wide_as_the_steps_to_it_say() {
    for table in [CreateRow::TABLE, DeleteRow::TABLE, RunRow::TABLE] {
        let steps = widen::VERSION_3.iter().chain(widen::VERSION_4).filter(|step| step.name == table.name);
        let mut widths: Vec<&str> = steps.map(|step| step.before).chain([table.columns]).collect();
        assert!(widths.len() > 1, "{}", table.name);
        let wider = widths.split_off(1);
        for (before, after) in widths.into_iter().zip(wider) {
            let added = after.strip_prefix(before).and_then(|rest| rest.strip_prefix(", "));
            assert!(added.is_some_and(|added| !added.contains(',')), "{}", table.name);
        }
    }
}

#[test]
fn a_newer_file_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    drop(open_as(folder.path(), &LATER).unwrap());
    let newer = JournalError::Newer { found: 6, known: 4 };
    assert_eq!(open_as(folder.path(), &schema::CURRENT).err(), Some(newer.clone()));
    assert_eq!(JournalReader::open(folder.path()).err(), Some(newer.clone()));
    assert!(newer.to_string().contains("version 6"), "{newer}");
    drop(open_as(folder.path(), &LATER).unwrap());
}

#[test]
fn a_reader_refuses_an_older_file() {
    let folder = tempfile::tempdir().unwrap();
    drop(open(folder.path()));
    let connection = connect(&folder.path().join(FILE_NAME), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    assert_eq!(LATER.expect_version(&connection), Err(JournalError::Older { found: 4, known: 6 }));
}
