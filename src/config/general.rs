//! The sections of the main file besides policies and servers.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::mark;
use crate::domain::memory::EXTRAS_REMEMBERED;
use crate::domain::policy::{Fuse, Limits};

use super::diagnostics::quoted;
use super::duration::LONGEST;
use super::intern::{Interner, Zone};
use super::report::{Field, Fields, Report, closest};
use super::settings::{LeaderSettings, LogFormat, LogSettings, Notify, ProviderSettings, Rotate, TokenSource, default_listen};
use super::urls;

/// The keys of the main file.
pub(super) const MAIN_KEYS: [&str; 14] = [
    "owner",
    "former_owners",
    "provider",
    "timezone",
    "state",
    "journal",
    "listen",
    "log",
    "deletes",
    "defaults",
    "policies",
    "servers",
    "notify",
    "leader",
];

const PROVIDER_KEYS: [&str; 11] = [
    "url",
    "token_file",
    "token_env",
    "account",
    "request_timeout",
    "requests_per_second",
    "concurrent_requests",
    "concurrent_creates",
    "poll_every",
    "refresh_every",
    "limits",
];

/// More than one machine can use, far less than what hurts.
const CONCURRENT_MAX: u32 = 1000;
const REQUESTS_PER_SECOND_MAX: f64 = 100_000.0;
/// More items a server than any provider allows.
const CAP_MAX: u32 = 10_000;

/// What the main file says besides policies and servers.
#[derive(Debug)]
pub(super) struct General {
    pub owner: Box<str>,
    pub former_owners: Vec<Box<str>>,
    pub provider: ProviderSettings,
    pub limits: Limits,
    pub zone: Zone,
    pub state: Option<PathBuf>,
    pub journal_keep: Duration,
    pub listen: SocketAddr,
    pub log: LogSettings,
    pub fuse: Fuse,
    pub notify: Option<Notify>,
    pub leader: Option<LeaderSettings>,
}

impl Default for General {
    fn default() -> General {
        General {
            owner: "".into(),
            former_owners: Vec::new(),
            provider: ProviderSettings::default(),
            limits: Limits { snapshots: 5, manual_backups: 10 },
            zone: Zone::utc(),
            state: None,
            journal_keep: Duration::from_secs(400 * 24 * 3600),
            listen: default_listen(),
            log: LogSettings::default(),
            fuse: Fuse { enabled: true, extra_per_server: 1, extra_per_day: 50 },
            notify: None,
            leader: None,
        }
    }
}

impl General {
    /// Reads the sections; what is wrong is reported and stays at its default.
    pub fn read(main: Fields<'_>, report: &mut Report, interner: &mut Interner) -> General {
        let mut general = General::default();
        general.read_owners(main, report);
        general.read_provider(main, report);
        if let Some(zone) = read_zone(main.get("timezone"), report, interner) {
            general.zone = zone;
        }
        general.state = report.text(main.get("state")).map(PathBuf::from);
        if let Some(journal) = report.section(main.get("journal"), main.at, &["keep"]) {
            let keep = report.duration(journal.get("keep"), Duration::from_secs(1)..=LONGEST);
            if keep.is_some_and(|keep| keep < EXTRAS_REMEMBERED.unsigned_abs()) {
                report.warn(journal.span("keep"), "the last 8 days are kept in any case: creates and extra deletes are counted by them");
            }
            general.journal_keep = keep.unwrap_or(general.journal_keep);
        }
        general.listen = read_listen(main.get("listen"), report).unwrap_or(general.listen);
        general.read_log(main, report);
        general.read_fuse(main, report);
        general.notify = read_notify(main, report);
        general.leader = read_leader(main, report);
        general
    }

    fn read_owners(&mut self, main: Fields<'_>, report: &mut Report) {
        match main.get("owner") {
            Field { node: None, .. } => report.error_hint(
                main.at,
                "`owner` is missing: it says whose items these are, in every mark",
                "add `owner: prod`; two installations on one account need two owners",
            ),
            field => self.owner = read_word(field, report).unwrap_or_default().into(),
        }
        for node in report.list(main.get("former_owners"), "a list of names").unwrap_or_default() {
            let field = Field { name: "former_owners", node: Some(node) };
            self.former_owners.extend(read_word(field, report).map(Box::from));
        }
    }

    fn read_provider(&mut self, main: Fields<'_>, report: &mut Report) {
        let Some(fields) = report.section(main.get("provider"), main.at, &PROVIDER_KEYS) else { return };
        let provider = &mut self.provider;
        if let Some(url) = urls::read_provider(fields.get("url"), report) {
            provider.url = url;
        }
        provider.token = read_token_source(fields, report);
        provider.account = report.text(fields.get("account")).map(str::to_owned);
        let mut seconds = |name, default, range| report.duration(fields.get(name), range).unwrap_or(default);
        provider.request_timeout = seconds("request_timeout", provider.request_timeout, range_ms(50, 3_600_000));
        provider.poll_every = seconds("poll_every", provider.poll_every, range_ms(10, 3_600_000));
        provider.refresh_every = seconds("refresh_every", provider.refresh_every, range_ms(10, 24 * 3_600_000));
        if let Some(rate) = report.rate(fields.get("requests_per_second"), REQUESTS_PER_SECOND_MAX) {
            provider.requests_per_second = rate;
        }
        let mut count = |name, default| report.count_in(fields.get(name), 1..=CONCURRENT_MAX).unwrap_or(default);
        provider.concurrent_requests = count("concurrent_requests", provider.concurrent_requests);
        provider.concurrent_creates = count("concurrent_creates", provider.concurrent_creates);
        let Some(limits) = report.section(fields.get("limits"), fields.at, &["snapshots", "manual_backups"]) else { return };
        let mut cap = |name, default| report.count_in(limits.get(name), 1..=CAP_MAX).unwrap_or(default);
        self.limits = Limits {
            snapshots: cap("snapshots", self.limits.snapshots),
            manual_backups: cap("manual_backups", self.limits.manual_backups),
        };
    }

    fn read_log(&mut self, main: Fields<'_>, report: &mut Report) {
        let Some(fields) = report.section(main.get("log"), main.at, &["format", "level", "directory", "rotate", "keep_files"]) else {
            return;
        };
        let log = &mut self.log;
        let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
        log.format = report.choice(fields.get("format"), &formats).unwrap_or(log.format);
        let levels = [
            ("error", tracing::Level::ERROR),
            ("warn", tracing::Level::WARN),
            ("info", tracing::Level::INFO),
            ("debug", tracing::Level::DEBUG),
            ("trace", tracing::Level::TRACE),
        ];
        log.level = report.choice(fields.get("level"), &levels).unwrap_or(log.level);
        log.directory = report.text(fields.get("directory")).map(PathBuf::from);
        let rotations = [("daily", Rotate::Daily), ("hourly", Rotate::Hourly), ("never", Rotate::Never)];
        log.rotate = report.choice(fields.get("rotate"), &rotations).unwrap_or(log.rotate);
        log.keep_files = report.count_in(fields.get("keep_files"), 1..=100_000).unwrap_or(log.keep_files);
    }

    fn read_fuse(&mut self, main: Fields<'_>, report: &mut Report) {
        let Some(fields) = report.section(main.get("deletes"), main.at, &["enabled", "extra_per_server", "extra_per_day"]) else { return };
        let fuse = &mut self.fuse;
        fuse.enabled = report.flag(fields.get("enabled")).unwrap_or(fuse.enabled);
        fuse.extra_per_server = report.count_in(fields.get("extra_per_server"), 0..=u32::MAX).unwrap_or(fuse.extra_per_server);
        fuse.extra_per_day = report.count_in(fields.get("extra_per_day"), 0..=u32::MAX).unwrap_or(fuse.extra_per_day);
    }
}

fn range_ms(from: u64, to: u64) -> RangeInclusive<Duration> {
    Duration::from_millis(from)..=Duration::from_millis(to)
}

/// An owner's name.
fn read_word<'n>(field: Field<'n>, report: &mut Report) -> Option<&'n str> {
    let text = report.text(field)?;
    if !mark::is_word(text) {
        let message = format!("`{}` {} is not a usable name", field.name, quoted(text));
        report.error_hint(field.node?.span, message, WORD_HINT);
        return None;
    }
    Some(text)
}

/// What names may consist of.
pub(super) const WORD_HINT: &str = "letters, digits, `_` and `-`, at most 20 characters";

/// An IANA time zone.
pub(super) fn read_zone(field: Field<'_>, report: &mut Report, interner: &mut Interner) -> Option<Zone> {
    let name = report.text(field)?;
    if let Some(zone) = interner.zone(name) {
        return Some(Zone { name: name.to_owned(), zone });
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let hint = match closest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "IANA names such as `Europe/Oslo`, or `UTC`".to_owned(),
    };
    report.error_hint(field.node?.span, format!("`{}`: unknown time zone {}", field.name, quoted(name)), hint);
    None
}

fn read_listen(field: Field<'_>, report: &mut Report) -> Option<SocketAddr> {
    let text = report.text(field)?;
    match text.parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let message = format!("`{}` {} is not an address and port", field.name, quoted(text));
            report.error_hint(field.node?.span, message, "write numbers, as in `127.0.0.1:9745`, `0.0.0.0:9745` or `\"[::1]:9745\"`");
            None
        }
    }
}

fn read_token_source(fields: Fields<'_>, report: &mut Report) -> Option<TokenSource> {
    let (file, variable) = (fields.get("token_file"), fields.get("token_env"));
    if let (Some(_), Some(node)) = (file.node, variable.node) {
        report.error(node.span, "both `token_file` and `token_env` are given; the token is in one of them");
    }
    if file.node.is_some() {
        return report.text(file).map(|path| TokenSource::File(path.into()));
    }
    let name = report.text(variable)?;
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !name.starts_with(|c: char| c.is_ascii_digit());
    if !is_name {
        // The text is not shown: what was put here may be the token itself.
        let hint = "name the variable that holds the token, as in `token_env: VPSORG_TOKEN`; the token itself is never written here";
        report.error_hint(variable.node?.span, "`token_env` is not the name of an environment variable", hint);
        return None;
    }
    Some(TokenSource::Env(name.to_owned()))
}

fn read_notify(main: Fields<'_>, report: &mut Report) -> Option<Notify> {
    let fields = report.section(main.get("notify"), main.at, &["webhook", "heartbeat"])?;
    let before = report.count();
    let webhook = urls::read_notify(fields.get("webhook"), true, report);
    let heartbeat = urls::read_notify(fields.get("heartbeat"), false, report);
    if webhook.is_none() && heartbeat.is_none() && report.count() == before {
        report.error_hint(main.span("notify"), "`notify` names nobody to tell", "add `webhook` or `heartbeat`, or leave `notify` out");
    }
    Some(Notify { webhook, heartbeat })
}

fn read_leader(main: Fields<'_>, report: &mut Report) -> Option<LeaderSettings> {
    let fields = report.section(main.get("leader"), main.at, &["kubernetes"])?;
    let Some((key, node)) = fields.entry("kubernetes") else {
        report.error_hint(main.span("leader"), "`leader` does not say how", "add `kubernetes: {lease: snapwarden}` or leave `leader` out");
        return None;
    };
    let fields = report.fields("kubernetes", node, key.span, &["lease", "namespace", "duration"])?;
    let lease = read_kubernetes_name(fields.get("lease"), report).unwrap_or("snapwarden").to_owned();
    let namespace = read_kubernetes_name(fields.get("namespace"), report).map(str::to_owned);
    let duration = report.duration(fields.get("duration"), range_ms(1000, 3_600_000)).unwrap_or(Duration::from_secs(30));
    Some(LeaderSettings { lease, namespace, duration })
}

/// A DNS label (RFC 1123), which is what Kubernetes takes everywhere.
fn read_kubernetes_name<'n>(field: Field<'n>, report: &mut Report) -> Option<&'n str> {
    let text = report.text(field)?;
    let is_label = text.len() <= 63
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-');
    if !is_label {
        let message = format!("`{}` {} is not a Kubernetes name", field.name, quoted(text));
        report.error_hint(field.node?.span, message, "lower-case letters, digits and `-`, at most 63 characters");
        return None;
    }
    Some(text)
}
