//! How long `check` takes for a large configuration.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::measure;
use super::stage::program;

/// So often each size is measured; the quickest counts, for the others were disturbed.
const TIMES: usize = 5;

/// A table for several sizes, with ten servers a policy.
pub fn check() {
    println!("\n| servers | policies | wall | CPU | memory at most |");
    println!("|---|---|---|---|---|");
    for servers in [10, 100, 1_000, 10_000] {
        let policies = servers / 10;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapwarden.yaml");
        fs::write(&path, config(servers, policies)).unwrap();
        let token = folder.path().join("token");
        fs::write(&token, "vps_measured").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        let once = |_| {
            let mut command = Command::new(program());
            measure::run(command.arg("--config").arg(&path).arg("check").env_clear().stdout(Stdio::null()).stderr(Stdio::null()))
        };
        let best = (0..TIMES).map(once).min_by_key(|took| took.wall).unwrap();
        println!("| {servers} | {policies} | {} ms | {:.2} s | {:.1} MiB |", best.wall.as_millis(), best.cpu, best.memory);
    }
}

/// Policies with times of their own, and servers by number.
fn config(servers: u32, policies: u32) -> String {
    let mut text = "owner: prod\nprovider: {token_file: token, requests_per_second: 100}\ntimezone: Europe/Oslo\npolicies:\n".to_owned();
    for policy in 0..policies {
        let (minute, hour) = (policy % 60, policy / 60 % 24);
        writeln!(text, "  p{policy}:").unwrap();
        writeln!(text, "    snapshots: {{schedule: \"{minute} {hour} * * *\", splay: 20m, keep: {{daily: 2, weekly: 2}}}}").unwrap();
        writeln!(text, "    backups: {{schedule: \"{minute} {hour} * * sun\", keep: {{last: 4}}, protect: [\"keep-*\"]}}").unwrap();
    }
    text.push_str("servers:\n");
    for server in 1..=servers {
        writeln!(text, "  - {{id: {server}, name: srv-{server:05}, policy: p{}}}", server % policies).unwrap();
    }
    text
}
