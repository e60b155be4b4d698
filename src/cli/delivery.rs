//! Where `run` leaves its metrics (`--textfile`, `--pushgateway`), so that alerts work without a daemon.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use url::Url;

use crate::outgoing::{self, Put};
use crate::telemetry::{exposition, printable};

use super::exit::{Exit, Failure};

/// The file is for everybody to read: who collects it is another user.
const FILE_MODE: u32 = 0o644;

/// Where the metrics of a run go.
#[derive(Debug, Default, clap::Args)]
pub(super) struct DeliveryArgs {
    /// Write the gauges and the time of the run to this file, for node_exporter (a name that ends in .prom)
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Send them to this Pushgateway, as job snapwarden and with this host's name as instance, or to the whole path with /metrics/job/…
    #[arg(long, value_name = "URL", value_parser = push_url)]
    pushgateway: Option<Url>,
}

impl DeliveryArgs {
    /// Whether any metrics are wanted.
    pub fn are_wanted(&self) -> bool {
        self.textfile.is_some() || self.pushgateway.is_some()
    }

    /// Finds out before anything is done that the file cannot be where it is to be.
    pub fn check(&self) -> Result<(), Failure> {
        let Some(path) = &self.textfile else { return Ok(()) };
        let refuse = |why: &str| Err(Failure::new(Exit::Usage, format!("snapwarden: `--textfile {}`: {why}", path.display())));
        if path.file_name().is_none() || path.is_dir() {
            return refuse("this is no name for a file");
        }
        if !folder_of(path).is_dir() {
            return refuse("its folder does not exist");
        }
        if path.extension().is_none_or(|extension| extension != "prom") {
            eprintln!("warning: node_exporter reads only files whose names end in .prom, and {} does not", path.display());
        }
        Ok(())
    }

    /// Leaves the text everywhere it is wanted. Returns what went wrong.
    pub async fn deliver(&self, text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        if let Some(path) = &self.textfile
            && let Err(error) = replace(path, text)
        {
            wrong.push(format!("failed to write the metrics to {}: {error}", path.display()));
        }
        if let Some(url) = &self.pushgateway {
            let put = Put { url: url.clone(), content_type: exposition::CONTENT_TYPE, body: text.to_owned() };
            if let Err(error) = outgoing::put(put).await {
                wrong.push(format!("failed to push the metrics to {}: {}", url.host_str().unwrap_or_default(), printable(&error)));
            }
        }
        wrong
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts a file in another one's place, so that nobody ever reads half of it, also after a loss of power.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Its own for each process; and no name that would be collected.
    let beside = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = write(&beside, text).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
    }
    written?;
    File::open(folder)?.sync_all()
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::options().write(true).create(true).truncate(true).mode(FILE_MODE).open(path)?;
    // Whatever the umask.
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// The address of the group that a push replaces.
fn push_url(text: &str) -> Result<Url, String> {
    let mut url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("it must be an http or https URL".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no user name, password, query or fragment".to_owned());
    }
    if url.path().contains("/metrics/job") {
        return Ok(url);
    }
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let instance = if host.is_empty() { "localhost".into() } else { host };
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(["metrics", "job", "snapwarden", "instance", &*instance]);
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_gets_its_group_unless_the_address_names_one() {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let url = |text| push_url(text).map(String::from);
        assert_eq!(url("http://gateway:9091").unwrap(), format!("http://gateway:9091/metrics/job/snapwarden/instance/{host}"));
        assert_eq!(url("https://gateway/below/").unwrap(), format!("https://gateway/below/metrics/job/snapwarden/instance/{host}"));
        let whole = "http://gateway:9091/metrics/job/snapwarden/instance/prod";
        assert_eq!(url(whole).unwrap(), whole);
        for bad in ["gateway:9091", "ftp://gateway", "http://me:secret@gateway", "http://gateway/?a=b"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_replaced_whole_and_can_be_read_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapwarden.prom");
        replace(&path, "old and longer\n").unwrap();
        replace(&path, "new\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, FILE_MODE);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("full")).unwrap();
        assert!(replace(&path, "text").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
