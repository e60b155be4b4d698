//! Only in a build with the feature `hang`, for `.ci/e2e systemd`: a way to make the main loop stand still, to see that the watchdog notices.

use std::fs;
use std::path::Path;

/// Stands still for ever once there is a file `hang` in the state folder. It is taken away, so that the next process goes on.
pub(super) fn hang_if_asked() {
    let Some(state) = std::env::var_os("STATE_DIRECTORY") else { return };
    if fs::remove_file(Path::new(&state).join("hang")).is_ok() {
        loop {
            std::thread::park();
        }
    }
}
