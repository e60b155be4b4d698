//! The lock of the state folder: one process at a time works on a journal (contract §7, F70).

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::owner::give_to_owner_of;

/// Proof that this process alone works on the state folder. Given back when dropped; the kernel does it for a process that dies.
#[derive(Debug)]
pub struct StateLock {
    folder: PathBuf,
    _file: File,
}

/// Why the lock was not given.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("lock the state folder {}: {} works on it", folder.display(), holder(*pid))]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The process that has it, as far as it could be read.
        pid: Option<u32>,
    },
    /// The folder or its lock file cannot be made or opened.
    #[error("lock the state folder {}", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl StateLock {
    /// Takes the lock without waiting. A missing folder is made, for its owner only.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn acquire(folder: &Path) -> Result<StateLock, LockError> {
        let failed = |source| LockError::Io { folder: folder.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let path = folder.join("lock");
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(LockError::Held { folder: folder.to_owned(), pid: read_pid(&mut file) }),
            Err(error) => return Err(failed(error.into())),
        }
        give_to_owner_of(folder, &file);
        write_pid(&mut file).map_err(failed)?;
        Ok(StateLock { folder: folder.to_owned(), _file: file })
    }

    /// The locked folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_second_is_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateLock::acquire(folder.path()).unwrap();
        let error = StateLock::acquire(folder.path()).unwrap_err();
        assert!(matches!(error, LockError::Held { pid: Some(pid), .. } if pid == std::process::id()), "{error:?}");
        assert!(error.to_string().ends_with(&format!("process {} works on it", std::process::id())), "{error}");
        drop(first);
        StateLock::acquire(folder.path()).unwrap();
    }

    #[test]
    fn a_missing_folder_is_made_for_its_owner_only() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/b");
        let lock = StateLock::acquire(&folder).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("lock"))), (0o700, 0o600));
        assert_eq!(lock.folder(), folder);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a file"), "").unwrap();
        let error = StateLock::acquire(&folder.path().join("a file/state")).unwrap_err();
        assert!(matches!(error, LockError::Io { .. }), "{error:?}");
    }
}
