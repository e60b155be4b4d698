//! Whose the files in the state folder are.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, fchown};
use std::path::Path;

/// Gives a new file to whoever owns the folder. Root may have made it there for a daemon that runs as another user (systemd's `DynamicUser=`) and could
/// not open it; SQLite does the same for the files that it keeps beside its own. Nobody but root can, so a failure means nothing.
pub(super) fn give_to_owner_of(folder: &Path, file: &File) {
    let (Ok(folder), Ok(made)) = (fs::metadata(folder), file.metadata()) else { return };
    if (folder.uid(), folder.gid()) != (made.uid(), made.gid()) {
        drop(fchown(file, Some(folder.uid()), Some(folder.gid())));
    }
}
