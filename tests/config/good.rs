//! Configurations that are right, and what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use snapwarden::config::{Config, LogFormat, Rotate, Surroundings, TokenSource};
use snapwarden::domain::globs::Globs;
use snapwarden::domain::inventory::{ItemId, Kind, ServerId};
use snapwarden::domain::policy::{AfterOn, AtCap, KindPolicy, OnFailure, Selector};
use snapwarden::domain::policy_text::PolicyText;

use super::{load, load_text, repository, whole, yaml_files};

const WEB: &str = "  web: {snapshots: {schedule: '30 3 * * *', keep: {last: 2}}}";

fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

fn policy(config: &Config, entry: usize, kind: Kind) -> &Arc<KindPolicy> {
    config.wanted.entries[entry].assignment.get(kind).unwrap()
}

#[test]
fn the_example_of_the_readme_loads_without_a_warning() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let example = readme.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let config = load_text(example).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!((config.warnings.len(), config.wanted.entries.len()), (0, 2));
}

#[test]
fn every_example_loads_without_a_warning() {
    let paths = yaml_files(&repository("config"));
    assert!(paths.len() >= 4);
    for path in paths {
        let config = load(&path).unwrap_or_else(|told| panic!("{told}"));
        assert_eq!(config.warnings, Vec::<String>::new(), "{}", path.display());
    }
}

/// What the Debian package puts into `/etc` says nothing until somebody takes the marks away, and is right then.
#[test]
fn the_packages_configuration_is_refused_until_it_is_filled_in() {
    let text = std::fs::read_to_string(repository("packaging/debian/snapwarden.yaml")).unwrap();
    assert!(load_text(&text).is_err());
    let filled: String = text
        .lines()
        .map(|line| {
            line.strip_prefix('#').filter(|rest| !rest.starts_with(' ') || rest.starts_with("  ")).unwrap_or(line).to_owned() + "\n"
        })
        .collect();
    let config = load_text(&filled).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!((config.warnings, config.wanted.entries.len()), (Vec::<String>::new(), 1));
}

/// What the journal keeps of a policy is a configuration, and one that means the same.
#[test]
fn the_text_of_a_policy_means_that_policy() {
    let hostile = "owner: prod\nprovider: {token_file: token}\npolicies:\n  web:\n    snapshots:\n      schedule: ['0 4 * * *', '@weekly']\n      \
                   timezone: Africa/Casablanca\n      catch_up: 365d 5ms\n      keep: {hourly: 1, yearly: 2}\n      \
                   adopt: [\"a\\\"b[\\\\]\\n*\", 'é: [{]x[}]', \"\\U0001F600\", '\u{202e}# no remark']\n      at_cap: refuse\n      \
                   hooks: {after: {run: [/bin/true], timeout: 90s}, after_on: completed, max_hold: 1h, on_failure: continue}\n\
                   servers: [{id: 1, policy: web}]\n";
    let contract = std::fs::read_to_string(repository("tests/config/good/contract.yaml")).unwrap();
    for source in [contract.as_str(), hostile] {
        let config = load_text(source).unwrap_or_else(|told| panic!("{told}"));
        for policy in &config.wanted.policies {
            let text = PolicyText::of(policy);
            let alone =
                format!("owner: prod\nprovider: {{token_file: token}}\n{}servers: [{{id: 1, policy: {}}}]\n", text.text(), policy.policy);
            let again = load_text(&alone).unwrap_or_else(|told| panic!("{told}\n{alone}"));
            let read = again.wanted.entries[0].assignment.get(policy.kind).unwrap();
            assert_eq!(PolicyText::of(read), text);
            let texts = |globs: &Globs| globs.texts().map(str::to_owned).collect::<Vec<_>>();
            let told = |policy: &KindPolicy| {
                format!("{:?} {:?} {:?} {:?}", policy.keep, policy.schedule, texts(&policy.adopt), texts(&policy.protect))
            };
            assert_eq!(told(read), told(policy));
            assert_eq!((read.catch_up, read.stuck_after, read.splay), (policy.catch_up, policy.stuck_after, policy.splay));
        }
    }
}

#[test]
fn the_contracts_example_means_what_the_contract_says() {
    let config = load(&repository("tests/config/good/contract.yaml")).unwrap_or_else(|told| panic!("{told}"));
    assert_eq!(&*config.wanted.owner, "prod");
    assert_eq!(config.provider.url.as_str(), "https://admin.vps.org/api/v1/");
    assert_eq!(config.provider.token, Some(TokenSource::File("token".into())));
    assert_eq!(config.journal_keep, Duration::from_secs(400 * 86_400));
    assert_eq!(config.listen, "127.0.0.1:9745".parse().unwrap());
    assert_eq!((config.log.format, config.log.rotate, config.log.keep_files), (LogFormat::Text, Rotate::Daily, 14));
    assert_eq!(config.leader.as_ref().unwrap().namespace.as_deref(), Some("ops"));

    let web = policy(&config, 0, Kind::Snapshot);
    assert_eq!((&*web.policy, web.splay, web.catch_up), ("web", minutes(20), minutes(120)));
    assert_eq!((web.keep.daily, web.keep.weekly, web.keep.sum()), (2, 2, 4));
    assert_eq!(web.schedule.time_zone().iana_name(), Some("Europe/Oslo"));
    assert!(web.protect.is_match("pre-update") && !web.protect.is_match("update"));
    let hooks = web.hooks.as_ref().unwrap();
    assert_eq!((hooks.after_on, hooks.max_hold, hooks.on_failure), (AfterOn::Accepted, minutes(15), OnFailure::Abort));
    assert_eq!(policy(&config, 0, Kind::Backup).keep.last, 9);

    let Selector::Match { patterns, exclude, at_least } = &config.wanted.entries[1].selector else { panic!("not a match") };
    assert!(patterns.is_match("sql1") && exclude.is_match("db-test"));
    assert_eq!(*at_least, 3);
    assert!(config.wanted.entries[2].assignment.is_none());
    let entry = &config.wanted.entries[3];
    assert_eq!(entry.selector, Selector::Id { id: ServerId(777), name: None });
    assert_eq!(
        (entry.protect_ids.as_slice(), entry.paused_until),
        ([ItemId(801)].as_slice(), Some("2026-12-01T00:00:00Z".parse().unwrap()))
    );
    let overridden = policy(&config, 3, Kind::Snapshot);
    assert_eq!((&*overridden.policy, overridden.schedule.texts().next()), ("web", Some("0 2 * * *")));
    assert_eq!(&*policy(&config, 4, Kind::Snapshot).policy, "server-12346");
}

#[test]
fn what_is_not_said_has_the_documented_default() {
    let config =
        load_text(&whole(WEB, "  - {id: 1, policy: web}\n  - {match: 'a*', policy: web}\n  - {match: 'b*', policy: none}")).unwrap();
    let provider = &config.provider;
    assert_eq!((provider.request_timeout, provider.poll_every, provider.refresh_every), (minutes(1) / 2, minutes(1) / 4, minutes(5)));
    assert_eq!((provider.requests_per_second, provider.concurrent_requests, provider.concurrent_creates), (2.0, 4, 10));
    assert_eq!((config.wanted.limits.snapshots, config.wanted.limits.manual_backups), (5, 10));
    let fuse = config.wanted.fuse;
    assert_eq!((fuse.enabled, fuse.extra_per_server, fuse.extra_per_day), (true, 1, 50));
    assert!(config.notify.is_none() && config.leader.is_none());
    let web = policy(&config, 0, Kind::Snapshot);
    assert_eq!((web.splay, web.catch_up, web.leave_free, web.at_cap, web.min_keep), (Duration::ZERO, minutes(120), 1, AtCap::Rotate, 1));
    assert_eq!(web.stuck_after, minutes(60));
    assert_eq!(web.schedule.time_zone().iana_name(), Some("UTC"));
    let least = |entry: usize| match config.wanted.entries[entry].selector {
        Selector::Match { at_least, .. } => at_least,
        Selector::Id { .. } => panic!("not a match"),
    };
    assert_eq!((least(1), least(2)), (1, 0));
}

#[test]
fn catch_up_is_by_default_half_of_the_shortest_interval() {
    let text =
        |schedule: &str| whole(&format!("  web: {{snapshots: {{schedule: {schedule}, keep: {{last: 2}}}}}}"), "  - {id: 1, policy: web}");
    let catch_up = |schedule| policy(&load_text(&text(schedule)).unwrap(), 0, Kind::Snapshot).catch_up;
    assert_eq!(catch_up("'@hourly'"), minutes(30));
    assert_eq!(catch_up("'*/10 * * * * *'"), Duration::from_secs(5));
    assert_eq!(catch_up("['0 3 * * *', '0 5 * * *']"), minutes(60));
    assert_eq!(catch_up("'@weekly'"), minutes(120));
}

#[test]
fn defaults_are_beneath_and_overrides_on_top() {
    let policies = "  web: {snapshots: {schedule: '@daily', keep: {daily: 2}}}\n  db: {backups: {schedule: '@daily', keep: {last: 2}}}";
    let servers = [
        "  - {id: 1, policy: [web, db]}",
        "  - {id: 2, policy: [web, db], override: {snapshots: {splay: 2m, keep: {weekly: 1}}}}",
        "  - {id: 3, snapshots: {schedule: '@daily', keep: {last: 1}}}",
    ];
    let defaults = "timezone: Asia/Tokyo\ndefaults: {snapshots: {splay: 30m, timezone: Europe/Oslo}}\n";
    let config = load_text(&format!("{defaults}{}", whole(policies, &servers.join("\n")))).unwrap();
    let (plain, overridden, own) =
        (policy(&config, 0, Kind::Snapshot), policy(&config, 1, Kind::Snapshot), policy(&config, 2, Kind::Snapshot));
    assert_eq!((plain.splay, overridden.splay, own.splay), (minutes(30), minutes(2), minutes(30)));
    assert_eq!((overridden.keep.daily, overridden.keep.weekly), (2, 1));
    assert_eq!(plain.schedule.time_zone().iana_name(), Some("Europe/Oslo"));
    assert_eq!(policy(&config, 0, Kind::Backup).schedule.time_zone().iana_name(), Some("Asia/Tokyo"));
    assert!(Arc::ptr_eq(&plain.schedule, &overridden.schedule), "equal schedules are one");
    let told: Vec<(&str, Kind)> = config.wanted.policies.iter().map(|policy| (&*policy.policy, policy.kind)).collect();
    assert_eq!(told, [("web", Kind::Snapshot), ("db", Kind::Backup), ("server-3", Kind::Snapshot)]);
}

#[test]
fn a_journal_that_is_to_forget_too_soon_is_a_warning() {
    let text = |keep: &str| format!("journal: {{keep: {keep}}}\n{}", whole(WEB, "  - {id: 1, policy: web}"));
    let warnings = |keep: &str| load_text(&text(keep)).unwrap().warnings;
    assert_eq!(warnings("8d"), Vec::<String>::new());
    let [warning] = &warnings("7d")[..] else { panic!("one is told") };
    assert!(warning.contains("snapwarden.yaml:1:17: the last 8 days are kept in any case"), "{warning}");
}

#[test]
fn a_policy_that_no_server_uses_is_a_warning() {
    let policies = format!("{WEB}\n  spare: {{snapshots: {{schedule: '@daily', keep: {{last: 1}}}}}}");
    let config = load_text(&whole(&policies, "  - {id: 1, policy: web}")).unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(config.warnings[0].ends_with("snapwarden.yaml:5:3: policy `spare` is used by no server"), "{:?}", config.warnings);
}

#[test]
fn http_is_for_loopback_and_slashes_do_not_matter() {
    for (written, read) in [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080/api/v1//", "http://[::1]:8080/api/v1/"),
        ("http://localhost/api", "http://localhost/api/"),
        ("https://vps.example/api/v1/", "https://vps.example/api/v1/"),
        ("https://xn--mnchen-3ya.example/api", "https://xn--mnchen-3ya.example/api/"),
    ] {
        let text = whole(WEB, "  - {id: 1, policy: web}").replace("token_file: token", &format!("url: \"{written}\""));
        let config = load_text(&text).unwrap();
        assert_eq!(config.provider.url.as_str(), read);
        assert_eq!(config.provider.token, None);
    }
}

#[test]
fn the_state_folder_is_as_written_or_the_service_managers() {
    let mut config = load_text(&whole(WEB, "  - {id: 1, policy: web}")).unwrap();
    let mut surroundings = Surroundings::default();
    assert_eq!(config.state_directory(&surroundings), std::path::Path::new("/var/lib/snapwarden"));
    surroundings.state_directory = Some("/srv/state".into());
    assert_eq!(config.state_directory(&surroundings), std::path::Path::new("/srv/state"));
    config.state = Some("/here".into());
    assert_eq!(config.state_directory(&surroundings), std::path::Path::new("/here"));
}
