//! Tests of setting up the log.

use std::fs;
use std::sync::Mutex;

use tracing_subscriber::fmt::format::Writer;

use super::*;

fn options(directory: Option<PathBuf>) -> LogOptions {
    LogOptions { format: LogFormat::Text, level: "info".into(), directory, rotate: LogRotation::Never, keep_files: 3 }
}

/// A writer that fails, as a closed stderr does.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_stderr_is_not_heard() {
    let mut deaf = Deaf(Closed);
    assert_eq!(deaf.write(b"line\n").unwrap(), 5);
    deaf.flush().unwrap();
}

#[test]
fn files_are_written_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("new/log");
    let (writer, guard) = queue(open_files(&directory, &options(None)).unwrap(), "test");
    let subscriber = tracing_subscriber::registry().with(file_layer(LogFormat::Text, writer));
    tracing::subscriber::with_default(subscriber, || tracing::info!(run = 1, "run ended"));
    drop(guard);
    let text = fs::read_to_string(directory.join("snapwarden.log")).unwrap();
    let (time, rest) = text.split_once(' ').unwrap();
    assert!(time.ends_with('Z') && time.parse::<jiff::Timestamp>().is_ok(), "{text}");
    assert_eq!(rest.trim_start(), "INFO run ended run=1\n");
}

#[test]
fn a_folder_that_cannot_be_made_is_told_with_its_name() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let directory = file.path().join("log");
    let error = open_files(&directory, &options(None)).err().unwrap();
    assert!(error.starts_with(&format!("{}: ", directory.display())), "{error}");
}

#[test]
fn a_level_that_cannot_be_read_is_an_error() {
    let error = init(&LogOptions { level: "info,hyper=loud".into(), ..options(None) }).unwrap_err();
    assert_eq!(error.to_string(), "read the log level `info,hyper=loud`");
}

#[test]
fn a_bare_level_is_for_this_program() {
    for (level, wanted) in [
        ("debug", "warn,snapwarden=debug"),
        ("INFO", "warn,snapwarden=info"),
        ("off", "off"),
        ("warn", "warn"),
        ("info,hyper=debug", "info,hyper=debug"),
    ] {
        assert_eq!(directives(level), wanted);
        directives(level).parse::<Targets>().unwrap();
    }
}

#[test]
fn a_folder_that_cannot_be_written_stops_nothing_and_a_second_log_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let quiet = LogOptions { level: "off".into(), ..options(Some(file.path().join("log"))) };
    let log = init(&quiet).unwrap();
    assert!(log._file.is_none());
    assert!(matches!(init(&quiet), Err(LoggingError::Twice(_))));
}

#[test]
fn the_journal_gets_a_priority_and_no_time() {
    let page = Arc::new(Mutex::new(Vec::new()));
    let layer = tracing_subscriber::fmt::layer().event_format(TextLine::for_journal()).with_ansi(false);
    let subscriber = tracing_subscriber::registry().with(layer.with_writer(SharedPage(Arc::clone(&page))));
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(text = %"two\nlines", "a library said");
        tracing::warn!("careful");
        tracing::info!("done");
        tracing::debug!("detail");
    });
    let text = String::from_utf8(page.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines, ["<3>ERROR a library said text=two\\u{a}lines", "<4> WARN careful", "<6> INFO done", "<7>DEBUG detail"]);
}

#[test]
fn the_journal_gets_json_with_a_priority_in_front() {
    let page = Arc::new(Mutex::new(Vec::new()));
    let subscriber = tracing_subscriber::registry().with(journal_json_layer(SharedPage(Arc::clone(&page))));
    tracing::subscriber::with_default(subscriber, || {
        tracing::error!(run = 1, error = %"two\nlines", "run ended");
        tracing::info!("done");
    });
    let text = String::from_utf8(page.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let error: serde_json::Value = serde_json::from_str(lines[0].strip_prefix("<3>").unwrap()).unwrap();
    assert_eq!((&error["message"], &error["run"], &error["level"]), (&"run ended".into(), &1.into(), &"ERROR".into()));
    assert!(lines[1].starts_with("<6>{"));
}

#[test]
fn colours_pass_but_other_controls_do_not() {
    let page = Arc::new(Mutex::new(Vec::new()));
    let layer = text_layer(SharedPage(Arc::clone(&page)), true);
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || tracing::info!(text = %"a\rb", "done"));
    let text = String::from_utf8(page.lock().unwrap().clone()).unwrap();
    assert!(text.contains("\u{1b}[") && text.contains("a\\u{d}b"), "{text:?}");
}

#[test]
fn the_time_is_rfc_3339_in_utc() {
    use tracing_subscriber::fmt::time::FormatTime as _;
    let mut text = String::new();
    SystemTime.format_time(&mut Writer::new(&mut text)).unwrap();
    assert!(text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(), "{text}");
}

struct SharedPage(Arc<Mutex<Vec<u8>>>);

impl<'a> MakeWriter<'a> for SharedPage {
    type Writer = PageWriter;

    fn make_writer(&'a self) -> PageWriter {
        PageWriter(Arc::clone(&self.0))
    }
}

struct PageWriter(Arc<Mutex<Vec<u8>>>);

impl Write for PageWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
