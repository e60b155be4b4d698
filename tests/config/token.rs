//! Where the token is, and how it must be kept.

use std::ffi::OsString;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use secrecy::ExposeSecret;
use snapwarden::config::token::{TokenError, TokenPlaces, read};
use snapwarden::config::{Surroundings, TokenSource};

use super::folder;

const TOKEN: &str = "CANARY-7f3a9b2c";

fn write(path: &Path, text: &[u8], mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn no_variable(_: &str) -> Option<OsString> {
    None
}

fn read_configured(configured: &TokenSource, config_file: &Path, surroundings: &Surroundings) -> Result<String, TokenError> {
    let places = TokenPlaces { override_file: None, configured: Some(configured), config_file, surroundings, variable: &no_variable };
    read(places).map(|token| token.expose_secret().to_owned())
}

fn read_path(path: PathBuf) -> Result<String, TokenError> {
    read_configured(&TokenSource::File(path), Path::new("/nowhere/snapwarden.yaml"), &Surroundings::default())
}

/// Everything that is ever said about an error.
fn told(error: &TokenError) -> String {
    let source = std::error::Error::source(error).map(ToString::to_string);
    format!("{error} {error:?} {} {}", source.unwrap_or_default(), error.hint().unwrap_or_default())
}

#[test]
fn a_relative_file_is_a_credential_or_beside_the_config() {
    let folder = folder();
    let config_file = folder.path().join("etc/snapwarden.yaml");
    let source = TokenSource::File("token".into());
    let surroundings = Surroundings { credentials_directory: Some(folder.path().join("credentials")), ..Surroundings::default() };
    write(&folder.path().join("etc/token"), b"beside\n", 0o600);
    assert_eq!(read_configured(&source, &config_file, &surroundings).unwrap(), "beside");
    write(&folder.path().join("credentials/token"), b"credential\r\n", 0o440);
    assert_eq!(read_configured(&source, &config_file, &surroundings).unwrap(), "credential");
}

#[test]
fn the_command_line_wins_and_variables_are_read() {
    let folder = folder();
    let file = folder.path().join("token");
    write(&file, TOKEN.as_bytes(), 0o600);
    let variable = |name: &str| (name == "VPSORG_TOKEN").then(|| OsString::from("from-env"));
    let (source, surroundings) = (TokenSource::Env("VPSORG_TOKEN".into()), Surroundings::default());
    let mut places = TokenPlaces {
        override_file: None,
        configured: Some(&source),
        config_file: Path::new("a.yaml"),
        surroundings: &surroundings,
        variable: &variable,
    };
    assert_eq!(read(places).unwrap().expose_secret(), "from-env");
    places.override_file = Some(&file);
    assert_eq!(read(places).unwrap().expose_secret(), TOKEN);
    places.override_file = None;
    places.variable = &no_variable;
    assert!(matches!(read(places), Err(TokenError::VariableMissing)));
    places.configured = None;
    assert!(told(&read(places).unwrap_err()).contains("token_file: token"));
}

#[test]
fn a_file_that_everyone_may_access_is_refused_with_the_command_that_mends_it() {
    let folder = folder();
    let path = folder.path().join("token");
    for (mode, shown) in [(0o644, "0644"), (0o602, "0602"), (0o641, "0641")] {
        write(&path, TOKEN.as_bytes(), mode);
        let error = read_path(path.clone()).unwrap_err();
        let text = told(&error);
        assert!(text.contains(shown), "{text}");
        assert!(text.contains(&format!("chmod o= {}", path.display())), "{text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
    for mode in [0o600, 0o640, 0o400] {
        write(&path, TOKEN.as_bytes(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_path(path.clone()).unwrap(), TOKEN);
    }
}

#[test]
fn links_are_followed_and_other_things_are_no_files() {
    let folder = folder();
    let (path, link) = (folder.path().join("..data/token"), folder.path().join("token"));
    write(&folder.path().join("..data/token"), TOKEN.as_bytes(), 0o640);
    symlink(&path, &link).unwrap();
    assert_eq!(read_path(link).unwrap(), TOKEN);
    assert!(matches!(read_path(folder.path().to_owned()), Err(TokenError::NotAFile { .. })));
    assert!(matches!(read_path("/dev/null".into()), Err(TokenError::NotAFile { .. })));
    let missing = read_path(folder.path().join("none")).unwrap_err();
    assert!(told(&missing).contains("CREDENTIALS_DIRECTORY"));
}

#[test]
fn only_one_line_of_visible_ascii_is_a_token() {
    let folder = folder();
    let path = folder.path().join("token");
    let long = "x".repeat(5000);
    for (text, word) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"CANARY-7f3a9b2c\nCANARY-7f3a9b2c\n", "more than one line"),
        (b"CANARY-7f3a9b2c CANARY-7f3a9b2c", "spaces"),
        (b"CANARY-7f3a9b2c\x00", "spaces or characters"),
        ("CANARY-7f3a9b2c\u{e9}".as_bytes(), "spaces or characters"),
        (long.as_bytes(), "too long"),
    ] {
        write(&path, text, 0o600);
        let text = told(&read_path(path.clone()).unwrap_err());
        assert!(text.contains(word), "{text}");
        assert!(!text.contains("CANARY"), "{text}");
    }
}
