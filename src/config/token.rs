//! Finds the token and reads it, without ever showing it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::settings::{Surroundings, TokenSource};

/// The longest token that is read; real ones have a few dozen characters.
const LENGTH_MAX: usize = 4096;

/// Why there is no token. No message contains it.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Neither the configuration nor the command line says where it is.
    #[error("find a token: neither `provider.token_file` nor `provider.token_env` is set")]
    NotConfigured,
    /// The environment variable is not there.
    #[error("read the token: the environment variable that `token_env` names is not set")]
    VariableMissing,
    /// The file cannot be opened or read.
    #[error("read the token file {}", path.display())]
    Unreadable {
        /// The file, or the last one of those that were tried.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder, a socket or a device.
    #[error("read the token file {}: it is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Every user of the machine has access to it.
    #[error("accept the token file {}: everyone may access it (mode {mode:04o})", path.display())]
    OpenToEveryone {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is empty, too long, has several lines, or holds something else than visible ASCII characters.
    #[error("accept the token from {from}: it {why}")]
    Malformed {
        /// Where it came from.
        from: String,
        /// What is wrong, as a fragment that follows "it".
        why: &'static str,
    },
}

impl TokenError {
    /// What would mend it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            TokenError::NotConfigured => Some("add `provider: {token_file: token}`, or name the file with `--token-file`".to_owned()),
            TokenError::VariableMissing => Some("set it for this process, or use `token_file`".to_owned()),
            TokenError::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some("a relative path is looked for in $CREDENTIALS_DIRECTORY, then beside the config".to_owned())
            }
            TokenError::OpenToEveryone { path, .. } => Some(format!("chmod o= {}", shell_word(&path.display().to_string()))),
            TokenError::Malformed { .. } => Some("it must hold the token and nothing else, on one line".to_owned()),
            TokenError::Unreadable { .. } | TokenError::NotAFile { .. } => None,
        }
    }
}

/// Where the token is to be looked for.
#[derive(Clone, Copy)]
pub struct TokenPlaces<'a> {
    /// `--token-file`; it wins over the configuration and is relative to the working folder.
    pub override_file: Option<&'a Path>,
    /// What the configuration says.
    pub configured: Option<&'a TokenSource>,
    /// The main configuration file; relative token files are beside it.
    pub config_file: &'a Path,
    /// What the service manager says.
    pub surroundings: &'a Surroundings,
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
}

/// Finds the token and reads it.
///
/// # Errors
/// There is none, or it is not kept as a secret must be.
pub fn read(places: TokenPlaces<'_>) -> Result<SecretString, TokenError> {
    if let Some(path) = places.override_file {
        return read_file(path);
    }
    match places.configured {
        None => Err(TokenError::NotConfigured),
        Some(TokenSource::Env(name)) => read_variable(name, places.variable),
        Some(TokenSource::File(path)) => read_file(&find(path, &places)),
    }
}

/// A relative path: in the credentials folder if it is there, else beside the configuration.
fn find(path: &Path, places: &TokenPlaces<'_>) -> PathBuf {
    if let Some(folder) = &places.surroundings.credentials_directory {
        let credential = folder.join(path);
        if credential.exists() {
            return credential;
        }
    }
    places.config_file.parent().unwrap_or(Path::new("")).join(path)
}

fn read_variable(name: &str, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<SecretString, TokenError> {
    let value = variable(name).ok_or(TokenError::VariableMissing)?;
    accept(value.as_encoded_bytes(), "the environment variable that `token_env` names")
}

/// Symbolic links are followed: Kubernetes mounts secrets as such. The permissions are those of the opened file, so that it cannot be exchanged in between.
fn read_file(path: &Path) -> Result<SecretString, TokenError> {
    let unreadable = |source| TokenError::Unreadable { path: path.to_owned(), source };
    // Opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(TokenError::NotAFile { path: path.to_owned() });
    }
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(TokenError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 != 0 {
        return Err(TokenError::OpenToEveryone { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::with_capacity(LENGTH_MAX + 2);
    file.take(LENGTH_MAX as u64 + 2).read_to_end(&mut bytes).map_err(unreadable)?;
    accept(&bytes, &path.display().to_string())
}

/// One line of visible ASCII characters: anything else cannot be sent in a header.
fn accept(bytes: &[u8], from: &str) -> Result<SecretString, TokenError> {
    let malformed = |why| TokenError::Malformed { from: from.to_owned(), why };
    let token = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let token = token.strip_suffix(b"\r").unwrap_or(token);
    if token.is_empty() {
        return Err(malformed("is empty"));
    }
    if token.len() > LENGTH_MAX {
        return Err(malformed("is too long"));
    }
    if token.contains(&b'\n') {
        return Err(malformed("has more than one line"));
    }
    if !token.iter().all(u8::is_ascii_graphic) {
        return Err(malformed("holds spaces or characters that no token has"));
    }
    str::from_utf8(token).map(SecretString::from).map_err(|_| malformed("is not text"))
}

/// A path as a shell takes it.
fn shell_word(text: &str) -> String {
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-".contains(&b)) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}
