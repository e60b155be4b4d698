//! Log files: begun anew by the clock, bounded in number, and whole lines again after a disk was full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::logging::LogRotation;
use crate::clock::Clock;

/// The owner writes, the group may read.
const FILE_MODE: u32 = 0o640;

/// The current log file of a folder: `snapwarden.<date>.log`, or `snapwarden.log` where none is ever begun anew.
pub(super) struct LogFiles {
    directory: PathBuf,
    rotate: LogRotation,
    keep: usize,
    clock: Arc<dyn Clock>,
    name: String,
    lines: Lines<File>,
}

impl LogFiles {
    /// Opens the current file, making folder and file where they are missing, and removes the oldest beyond `keep`.
    ///
    /// # Errors
    /// The folder or the file cannot be made or written.
    pub fn open(directory: &Path, rotate: LogRotation, keep: usize, clock: Arc<dyn Clock>) -> io::Result<LogFiles> {
        fs::create_dir_all(directory)?;
        let name = name(rotate, clock.now().wall);
        let lines = Lines::new(open(&directory.join(&name))?);
        let files = LogFiles { directory: directory.to_owned(), rotate, keep, clock, name, lines };
        files.forget();
        Ok(files)
    }

    /// Goes on in the file that is current by now. Where that cannot be opened, the last one takes its lines too.
    fn turn(&mut self) {
        let name = name(self.rotate, self.clock.now().wall);
        if name != self.name
            && let Ok(file) = open(&self.directory.join(&name))
        {
            (self.name, self.lines) = (name, Lines::new(file));
            self.forget();
        }
    }

    /// Removes the oldest files beyond the limit, by the dates in their names; what has another name is not ours. One that cannot be removed
    /// stays until the next turn.
    fn forget(&self) {
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        let files = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        let mut dated: Vec<String> = files.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_dated(name)).collect();
        dated.sort_unstable();
        dated.retain(|name| *name != self.name);
        let surplus = (dated.len() + 1).saturating_sub(self.keep.max(1));
        for name in dated.iter().take(surplus) {
            drop(fs::remove_file(self.directory.join(name)));
        }
    }
}

impl Write for LogFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.turn();
        self.lines.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lines.flush()
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)
}

fn name(rotate: LogRotation, now: Timestamp) -> String {
    match rotate {
        LogRotation::Daily => now.strftime("snapwarden.%Y-%m-%d.log").to_string(),
        LogRotation::Hourly => now.strftime("snapwarden.%Y-%m-%d-%H.log").to_string(),
        LogRotation::Never => "snapwarden.log".to_owned(),
    }
}

/// Whether a file has a name that [`name`] gives, with a date.
fn is_dated(name: &str) -> bool {
    let shape = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let date = name.strip_prefix("snapwarden.").and_then(|rest| rest.strip_suffix(".log"));
    date.is_some_and(|date| matches!(&*date.chars().map(shape).collect::<String>(), "0000-00-00" | "0000-00-00-00"))
}

/// Whole lines, each written by one call. The rest of one that could only be begun is lost; the next one does not continue it.
struct Lines<W> {
    inner: W,
    is_torn: bool,
}

impl<W: Write> Lines<W> {
    fn new(inner: W) -> Lines<W> {
        Lines { inner, is_torn: false }
    }
}

impl<W: Write> Write for Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.is_torn {
            self.inner.write_all(b"\n")?;
            self.is_torn = false;
        }
        let mut written = 0;
        while written < line.len() {
            match self.inner.write(&line[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                outcome => {
                    self.is_torn = written > 0;
                    return outcome.and(Err(io::ErrorKind::WriteZero.into()));
                }
            }
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::{Mono, Now};

    struct SetClock(Mutex<Timestamp>);

    impl SetClock {
        fn at(time: &str) -> Arc<SetClock> {
            Arc::new(SetClock(Mutex::new(time.parse().unwrap())))
        }

        fn set(&self, time: &str) {
            *self.0.lock().unwrap() = time.parse().unwrap();
        }
    }

    impl Clock for SetClock {
        fn now(&self) -> Now {
            Now { wall: *self.0.lock().unwrap(), mono: Mono::default() }
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }

    fn files(directory: &Path, rotate: LogRotation, keep: usize, clock: &Arc<SetClock>) -> LogFiles {
        LogFiles::open(directory, rotate, keep, Arc::clone(clock) as Arc<dyn Clock>).unwrap()
    }

    #[test]
    fn a_new_file_is_begun_by_the_clock_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::at("2026-11-27T23:59:59Z");
        let mut log = files(folder.path(), LogRotation::Daily, 2, &clock);
        log.write_all(b"a\n").unwrap();
        for (time, line) in [("2026-11-28T00:00:00Z", b"b\n"), ("2026-11-28T23:00:00Z", b"c\n"), ("2026-11-30T00:00:00Z", b"d\n")] {
            clock.set(time);
            log.write_all(line).unwrap();
        }
        assert_eq!(names(folder.path()), ["snapwarden.2026-11-28.log", "snapwarden.2026-11-30.log"]);
        assert_eq!(fs::read_to_string(folder.path().join("snapwarden.2026-11-28.log")).unwrap(), "b\nc\n");
    }

    /// Each start of a command opens the log: what is kept must not depend on how often.
    #[test]
    fn starting_again_keeps_the_current_file_and_as_many_as_before() {
        let folder = tempfile::tempdir().unwrap();
        for day in 10..20 {
            fs::write(folder.path().join(format!("snapwarden.2026-11-{day}.log")), "old\n").unwrap();
        }
        let clock = SetClock::at("2026-11-20T12:00:00Z");
        for keep in [3, 1] {
            for _ in 0..3 {
                files(folder.path(), LogRotation::Daily, keep, &clock).write_all(b"line\n").unwrap();
                assert_eq!(names(folder.path()).len(), keep);
            }
        }
        assert_eq!(fs::read_to_string(folder.path().join("snapwarden.2026-11-20.log")).unwrap(), "line\n".repeat(6));
    }

    #[test]
    fn what_is_not_ours_stays_and_a_clock_that_was_set_back_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let others =
            ["snapwarden.log", "snapwarden-report.2026-01-01.log", "snapwarden.2026-01-01.log.gz", "snapwarden.latest.log", "x.log"];
        for name in others {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::create_dir(folder.path().join("snapwarden.2026-01-02.log")).unwrap();
        let clock = SetClock::at("2026-11-28T05:00:00Z");
        let mut log = files(folder.path(), LogRotation::Hourly, 1, &clock);
        clock.set("2026-11-28T04:00:00Z");
        log.write_all(b"line\n").unwrap();
        let mut wanted = [&others[..], &["snapwarden.2026-01-02.log", "snapwarden.2026-11-28-04.log"]].concat();
        wanted.sort_unstable();
        assert_eq!(names(folder.path()), wanted);
    }

    #[test]
    fn without_rotation_there_is_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::at("2026-11-28T05:00:00Z");
        for time in ["2026-11-28T05:00:00Z", "2027-11-28T05:00:00Z"] {
            clock.set(time);
            files(folder.path(), LogRotation::Never, 1, &clock).write_all(b"line\n").unwrap();
        }
        assert_eq!(names(folder.path()), ["snapwarden.log"]);
        assert_eq!(fs::read_to_string(folder.path().join("snapwarden.log")).unwrap(), "line\nline\n");
    }

    #[test]
    fn where_no_new_file_can_be_made_the_last_one_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let clock = SetClock::at("2026-11-28T05:00:00Z");
        let mut log = files(folder.path(), LogRotation::Daily, 3, &clock);
        fs::create_dir(folder.path().join("snapwarden.2026-11-29.log")).unwrap();
        clock.set("2026-11-29T05:00:00Z");
        log.write_all(b"line\n").unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("snapwarden.2026-11-28.log")).unwrap(), "line\n");
    }

    /// A disk with so much room.
    struct Disk {
        room: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= count;
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn after_a_full_disk_the_next_line_is_whole() {
        let mut lines = Lines::new(Disk { room: 12, text: Vec::new() });
        lines.write_all(b"first line\n").unwrap();
        for _ in 0..2 {
            assert_eq!(lines.write_all(b"second line\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
        }
        lines.inner.room = 100;
        lines.write_all(b"third line\n").unwrap();
        lines.write_all(b"fourth line\n").unwrap();
        assert_eq!(String::from_utf8(lines.inner.text).unwrap(), "first line\ns\nthird line\nfourth line\n");
    }
}
