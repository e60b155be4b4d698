//! The files of the journal: making them, keeping a copy, setting a damaged one aside.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::super::owner::give_to_owner_of;
use super::super::{FILE_NAME, JournalError};

/// Nobody but the owner reads or writes: the journal names servers and items.
const FILE_MODE: u32 = 0o600;

/// SQLite takes a file that is smaller than its smallest page for an empty one, and would write over what is left.
const FILE_BYTES_MIN: u64 = 512;

/// So many journals may be set aside within one second.
const SET_ASIDE_MAX: u32 = 100;

/// What SQLite keeps beside the file.
const SIDE_FILES: [&str; 2] = ["-wal", "-shm"];

#[derive(Debug, Clone)]
pub(super) struct Files {
    folder: PathBuf,
    main: PathBuf,
}

impl Files {
    pub fn new(folder: &Path) -> Files {
        Files { folder: folder.to_owned(), main: folder.join(FILE_NAME) }
    }

    pub fn main(&self) -> &Path {
        &self.main
    }

    /// Makes an empty file where there is none, and proves that it can be written.
    pub fn prepare(&self) -> Result<(), JournalError> {
        let file = match OpenOptions::new().read(true).write(true).open(&self.main) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return self.make(),
            Err(error) => return Err(system(&self.main, &error)),
        };
        let length = file.metadata().map_err(|error| system(&self.main, &error))?.len();
        if (1..FILE_BYTES_MIN).contains(&length) {
            return Err(JournalError::corrupt(format!("only {length} bytes are left of it")));
        }
        file.set_permissions(Permissions::from_mode(FILE_MODE)).map_err(|error| system(&self.main, &error))
    }

    fn make(&self) -> Result<(), JournalError> {
        // A log whose file is gone would be played into the new file.
        for side in SIDE_FILES {
            remove(&beside(&self.main, side))?;
        }
        self.make_private(&self.main)?;
        self.sync_folder()
    }

    /// An empty private file for a copy of the journal as it was in `version`.
    pub fn make_copy_target(&self, version: u32) -> Result<PathBuf, JournalError> {
        let path = self.folder.join(format!("journal.v{version}.sqlite3"));
        remove(&path)?;
        self.make_private(&path)?;
        self.sync_folder()?;
        Ok(path)
    }

    /// Renames the journal and what belongs to it, and returns its new name.
    ///
    /// The file goes first: if this is cut short, it must not be there without its log, whole to look at, and without what was only in the log. A log that is
    /// left behind is removed before a new file is made.
    pub fn set_aside(&self, now: Timestamp) -> Result<PathBuf, JournalError> {
        let target = self.free_name(now)?;
        fs::rename(&self.main, &target).map_err(|error| system(&self.main, &error))?;
        for side in SIDE_FILES {
            let from = beside(&self.main, side);
            match fs::rename(&from, beside(&target, side)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(system(&from, &error)),
                _ => {}
            }
        }
        self.sync_folder()?;
        Ok(target)
    }

    fn free_name(&self, now: Timestamp) -> Result<PathBuf, JournalError> {
        let time = now.strftime("%Y%m%dT%H%M%SZ");
        let names = (1..=SET_ASIDE_MAX).map(|number| match number {
            1 => format!("journal.damaged-{time}.sqlite3"),
            _ => format!("journal.damaged-{time}-{number}.sqlite3"),
        });
        let mut paths = names.map(|name| self.folder.join(name));
        let free = paths.find(|path| fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound));
        free.ok_or_else(|| JournalError::Io { detail: format!("no free name for a damaged journal in {}", self.folder.display()) })
    }

    /// Makes a file that was written without syncs durable. (SQLite does not sync a copy.)
    pub fn sync(&self, path: &Path) -> Result<(), JournalError> {
        File::open(path).and_then(|file| file.sync_all()).map_err(|error| system(path, &error))
    }

    fn make_private(&self, path: &Path) -> Result<(), JournalError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path).and_then(|file| {
            give_to_owner_of(&self.folder, &file);
            file.sync_all()
        });
        made.map_err(|error| system(path, &error))
    }

    /// Makes the names in the folder durable.
    fn sync_folder(&self) -> Result<(), JournalError> {
        self.sync(&self.folder)
    }
}

fn beside(path: &Path, side: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(side);
    PathBuf::from(name)
}

fn remove(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(system(path, &error)),
        _ => Ok(()),
    }
}

fn system(path: &Path, error: &io::Error) -> JournalError {
    JournalError::system(&path.display().to_string(), error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_never_stays_without_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::new(folder.path());
        fs::write(files.main(), "checkpointed").unwrap();
        fs::write(beside(files.main(), "-wal"), "the newest").unwrap();
        let now: Timestamp = "2026-03-01T03:00:00Z".parse().unwrap();
        // The log cannot be renamed.
        let in_the_way = beside(&files.free_name(now).unwrap(), "-wal");
        fs::create_dir(&in_the_way).unwrap();
        assert!(files.set_aside(now).is_err());
        assert!(!files.main().exists());
        files.prepare().unwrap();
        assert_eq!(fs::read(files.main()).unwrap(), b"");
        assert!(!beside(files.main(), "-wal").exists(), "it is not played into the new file");
    }
}
