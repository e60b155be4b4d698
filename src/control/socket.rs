//! The socket's file in the state folder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use tokio::net::{UnixListener, UnixStream};

/// The socket's name in the state folder.
pub const FILE_NAME: &str = "control.sock";

/// A folder for nobody else, in which the socket gets its mode before anybody can reach it.
const STAGING: &str = "control.new";

/// The longest path that an address of a socket can hold, in bytes; a zero byte follows.
const ADDRESS_BYTES_MAX: usize = 107;

/// The socket cannot be made.
#[derive(Debug, Error)]
#[error("listen on {}", path.display())]
pub struct BindError {
    /// Where.
    pub path: PathBuf,
    /// Why not.
    pub source: io::Error,
}

/// The socket's file, which goes when this does.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // What is left over is replaced by the next one.
        drop(fs::remove_file(&self.path));
    }
}

/// A path as it fits into an address: a long one goes by way of its open folder.
struct Address {
    path: PathBuf,
    /// The path leads through it.
    _folder: Option<File>,
}

impl Address {
    fn of(folder: &Path, name: &str) -> io::Result<Address> {
        let path = folder.join(name);
        if path.as_os_str().len() <= ADDRESS_BYTES_MAX {
            return Ok(Address { path, _folder: None });
        }
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()));
        Ok(Address { path, _folder: Some(folder) })
    }
}

/// Listens on the socket of a state folder. Only who holds the folder's lock may: a socket that lies there is taken to be left over.
///
/// # Errors
/// If it cannot be made.
pub fn bind(folder: &Path) -> Result<(UnixListener, SocketFile), BindError> {
    let path = folder.join(FILE_NAME);
    match stage(folder, &path) {
        Ok(listener) => Ok((listener, SocketFile { path })),
        Err(source) => Err(BindError { path, source }),
    }
}

fn stage(folder: &Path, path: &Path) -> io::Result<UnixListener> {
    let staging = folder.join(STAGING);
    match fs::remove_dir_all(&staging) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => DirBuilder::new().mode(0o700).create(&staging)?,
    }
    let staged = staging.join(FILE_NAME);
    let listener = UnixListener::bind(&Address::of(folder, &format!("{STAGING}/{FILE_NAME}"))?.path)?;
    fs::set_permissions(&staged, Permissions::from_mode(0o600))?;
    fs::rename(&staged, path)?;
    fs::remove_dir(&staging)?;
    Ok(listener)
}

/// Connects to the socket of a state folder.
pub(super) async fn connect(folder: &Path) -> io::Result<UnixStream> {
    UnixStream::connect(&Address::of(folder, FILE_NAME)?.path).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[tokio::test]
    async fn the_socket_is_its_owners_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(connect(folder.path()).await.is_err());
        let (listener, file) = bind(folder.path()).unwrap();
        assert_eq!(mode(&folder.path().join(FILE_NAME)), 0o600);
        assert_eq!(names(folder.path()), [FILE_NAME]);
        connect(folder.path()).await.unwrap();
        listener.accept().await.unwrap();
        drop((listener, file));
        assert_eq!(names(folder.path()), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_is_left_over_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (listener, file) = bind(folder.path()).unwrap();
        std::mem::forget(file);
        drop(listener);
        DirBuilder::new().create(folder.path().join(STAGING)).unwrap();
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(STAGING).join(FILE_NAME)).unwrap());
        assert_eq!(connect(folder.path()).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let (listener, _file) = bind(folder.path()).unwrap();
        connect(folder.path()).await.unwrap();
        listener.accept().await.unwrap();
        assert_eq!(names(folder.path()), [FILE_NAME]);
    }

    #[tokio::test]
    async fn a_folder_whose_path_is_too_long_for_an_address_is_reached_all_the_same() {
        let parent = tempfile::tempdir().unwrap();
        for length in [60, 83, 84, 200] {
            let folder = parent.path().join("x".repeat(length));
            fs::create_dir(&folder).unwrap();
            let (listener, file) = bind(&folder).unwrap();
            connect(&folder).await.unwrap();
            listener.accept().await.unwrap();
            assert_eq!(mode(&folder.join(FILE_NAME)), 0o600);
            drop(file);
            assert_eq!(names(&folder), Vec::<String>::new());
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_in_the_way_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
        let error = bind(folder.path()).unwrap_err();
        assert!(error.to_string().ends_with("control.sock"), "{error}");
    }
}
