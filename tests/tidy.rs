//! What the compiler does not check: which module knows of which, and how files look.
//!
//! The invariants are those of `ARCHITECTURE.md`. Everything here reads text, so it is quick, and simple enough to be fooled by someone who means to.

#![allow(clippy::unwrap_used, reason = "the helpers of tests, too, end a test by a panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 700;
/// rustfmt holds code at 140; comments and tables in them may be a little wider.
const LINE_CHARS_MAX: usize = 160;

/// Which modules of this crate a module may use besides itself.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("domain", &["clock"]),
    ("config", &["domain"]),
    ("task", &[]),
    ("outgoing", &[]),
    ("provider", &["clock", "domain", "outgoing"]),
    ("journal", &["clock", "domain"]),
    ("leader", &["clock", "domain", "provider"]),
    ("emulator", &["clock", "domain", "task"]),
    ("runner", &["domain", "task"]),
    ("controller", &["clock", "domain", "journal", "provider", "runner", "task"]),
    ("control", &["controller", "domain", "task"]),
    ("telemetry", &["clock", "domain"]),
    ("notices", &["clock", "domain", "outgoing", "task"]),
    ("fuzzing", &["config", "domain", "journal", "provider"]),
    ("serve", &["clock", "config", "control", "controller", "domain", "journal", "provider", "task", "telemetry"]),
    ("simulate", &["clock", "config", "controller", "domain", "emulator", "journal", "provider", "telemetry"]),
    (
        "cli",
        &[
            "clock",
            "config",
            "control",
            "controller",
            "domain",
            "emulator",
            "journal",
            "leader",
            "notices",
            "outgoing",
            "provider",
            "serve",
            "simulate",
            "task",
            "telemetry",
        ],
    ),
];

/// What the tests of the shell may use besides: a world to work in. In files of their own, called `tests.rs`, `…_tests.rs` or in a folder `tests`.
const TESTS_MAY_USE: (&str, &[&str]) = ("controller", &["config", "emulator", "simulate"]);

/// Crates that only these modules know, so that another could take their place. Notices have an HTTP client of their own: it never sees the token.
const AT_HOME: &[(&str, &[&str])] = &[
    ("axum", &["serve"]),
    ("croner", &["domain"]),
    ("k8s_openapi", &["leader"]),
    ("kube", &["leader"]),
    ("maud", &["serve"]),
    ("prometheus", &["telemetry"]),
    ("reqwest", &["notices", "outgoing", "provider"]),
    ("rusqlite", &["journal"]),
    ("serde_saphyr", &["config"]),
];

/// The crates that the core may use; `proptest` in its tests.
const PURE_CRATES: &[&str] = &["croner", "glob", "humantime", "jiff", "proptest", "siphasher", "smallvec", "thiserror"];
/// The parts of the standard library that the core may use.
const PURE_STD: &[&str] = &[
    "array",
    "borrow",
    "char",
    "cmp",
    "collections",
    "convert",
    "error",
    "fmt",
    "hash",
    "iter",
    "mem",
    "num",
    "ops",
    "slice",
    "str",
    "sync",
    "time",
];

struct Source {
    /// Relative to the repository.
    path: String,
    text: String,
}

impl Source {
    /// The part of `src` that it belongs to: a folder, or a file directly in it.
    fn module(&self) -> &str {
        let inside = self.path.strip_prefix("src/").unwrap_or("");
        inside.split('/').next().unwrap().trim_end_matches(".rs")
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("tests.rs")
    }

    /// The lines with their numbers, without comments.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//")).map(|(number, line)| (number, line.split(" // ").next().unwrap()))
    }

    /// Every path such as `crate::clock::Now` in the code, as its segments. A `{` or `<` after the last `::` leaves an empty last segment.
    fn paths(&self) -> impl Iterator<Item = (usize, Vec<&str>)> {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        self.code().flat_map(move |(number, line)| {
            line.split(move |c| !is_part(c)).filter(|word| word.contains("::")).map(move |word| (number, word.split("::").collect()))
        })
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files of the repository that are text, without what is built and what git keeps.
fn files() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            if path.is_symlink() || [".git", "target", "fuzz/target"].contains(&name.as_str()) {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push(Source { path: name, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust_files() -> Vec<Source> {
    let files: Vec<Source> = files().into_iter().filter(|file| file.path.ends_with(".rs")).collect();
    assert!(files.len() > 50, "the files were not found");
    files
}

/// The files under `src/module`, or `src/module.rs`.
fn files_of(module: &str) -> Vec<Source> {
    rust_files().into_iter().filter(|file| file.path.starts_with("src/") && file.module() == module).collect()
}

fn assert_none(found: &[String]) {
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is() {
    let silent = rust_files().into_iter().filter(|file| !file.text.starts_with("//! "));
    assert_none(&silent.map(|file| format!("{}: begin with a line of `//!`", file.path)).collect::<Vec<_>>());
}

#[test]
fn files_and_lines_can_be_read() {
    let mut found = Vec::new();
    for file in rust_files() {
        let count = file.text.lines().count();
        if count > FILE_LINES_MAX {
            found.push(format!("{}: {count} lines; at most {FILE_LINES_MAX}: one idea a file", file.path));
        }
        for (index, line) in file.text.lines().enumerate() {
            // A row of a table cannot be broken.
            if line.chars().count() > LINE_CHARS_MAX && !line.trim_start().starts_with("//! |") {
                found.push(format!("{}:{}: more than {LINE_CHARS_MAX} characters", file.path, index + 1));
            }
        }
    }
    assert_none(&found);
}

#[test]
fn nothing_is_left_for_later() {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!("), concat!("db", "g!(")];
    let mut found = Vec::new();
    for file in files() {
        let lines = file.text.lines().enumerate();
        for (index, line) in lines.filter(|(_, line)| words.iter().any(|word| line.contains(word))) {
            found.push(format!("{}:{}: {}", file.path, index + 1, line.trim()));
        }
    }
    assert_none(&found);
}

#[test]
fn no_package_registry_is_named_by_its_host() {
    let hosts = [
        concat!("index.", "crates.io"),
        concat!("static.", "crates.io"),
        concat!("//", "crates.io"),
        concat!("pypi", ".org"),
        concat!("deb.", "debian.org"),
        concat!("npmjs", ".org"),
        concat!("proxy.", "golang.org"),
    ];
    let mut found = Vec::new();
    for file in files() {
        for host in hosts.iter().filter(|host| file.text.contains(**host)) {
            found.push(format!("{}: {host}", file.path));
        }
    }
    assert_none(&found);
}

/// Invariant 2, and the direction of every other dependency.
#[test]
fn modules_use_only_what_they_may() {
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|file| file.path.starts_with("src/")) {
        let module = file.module();
        if module == "lib" || module == "main" {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            found.push(format!("{}: say in tests/tidy.rs what the module `{module}` may use", file.path));
            continue;
        };
        for (line, path) in file.paths().filter(|(_, path)| path[0] == "crate" || path[0] == "super") {
            let target = *path.iter().find(|segment| !["crate", "super"].contains(segment)).unwrap();
            let in_tests = module == TESTS_MAY_USE.0 && file.is_test() && TESTS_MAY_USE.1.contains(&target);
            let is_module = path[0] == "crate" || MAY_USE.iter().any(|(name, _)| *name == target);
            if is_module && target != module && !allowed.contains(&target) && !in_tests {
                found.push(format!("{}:{line}: `{module}` may not use `{}`", file.path, path.join("::")));
            }
        }
    }
    assert_none(&found);
}

#[test]
fn outer_crates_are_known_to_one_module() {
    let mut found = Vec::new();
    let files = rust_files();
    for (outer, homes) in AT_HOME {
        let strangers = files.iter().filter(|file| file.path.starts_with("src/") && !homes.contains(&file.module()));
        for file in strangers {
            for (line, _) in file.paths().filter(|(_, path)| path[0] == *outer) {
                found.push(format!("{}:{line}: only {homes:?} may use `{outer}`", file.path));
            }
        }
    }
    assert_none(&found);
}

/// Invariant 1: values in, values out. (That no map is unordered is seen to by clippy.toml.)
#[test]
fn the_core_is_pure() {
    let outer_crates = dependencies();
    assert!(outer_crates.contains("serde") && outer_crates.contains("tracing_subscriber") && outer_crates.contains("proptest"));
    let mut found = Vec::new();
    for file in files_of("domain") {
        for (line, path) in file.paths() {
            let is_allowed = match path[0] {
                // What is written once says the same to whoever asks, and when.
                "std" if path[1] == "sync" => ["Arc", "OnceLock"].contains(&path[2]),
                // Two that are one need no comparison; an address says nothing else.
                "std" if path[1] == "ptr" => path[2] == "eq",
                "std" => PURE_STD.contains(&path[1]),
                "crate" if path[1] == "clock" => true,
                root => !outer_crates.contains(root) || PURE_CRATES.contains(&root),
            };
            if !is_allowed {
                found.push(format!("{}:{line}: `{}` has no place in the core", file.path, path.join("::")));
            }
        }
        let impure = ["async ", ".await", "println!", "print!(", "SystemClock", "dyn Clock", "Instant", "SystemTime"];
        for (line, code) in file.code().filter(|(_, code)| impure.iter().any(|word| code.contains(word))) {
            found.push(format!("{}:{line}: {}", file.path, code.trim()));
        }
    }
    assert_none(&found);
}

/// The names of all dependencies, as the code writes them.
fn dependencies() -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let mut inside = false;
    let mut names = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies");
        } else if let Some((name, _)) = line.split_once([' ', '=', '.']).filter(|_| inside) {
            names.insert(name.replace('-', "_"));
        }
    }
    names
}

/// Invariant 5: the guard reads the plan in its own way.
#[test]
fn the_guard_shares_no_helper_with_the_planner() {
    let allowed = ["inventory", "mark", "plan", "policy", "view"];
    let guard = files_of("domain").into_iter().find(|file| file.path == "src/domain/guard.rs").unwrap();
    let mut found = Vec::new();
    for (line, path) in guard.paths().filter(|(_, path)| path[0] == "super" || path[0] == "crate") {
        let is_value = match path[..] {
            ["super", "mark", name] => name == "Origin",
            ["super", "memory", name] => name == "Undecided",
            ["super", "record", name] => name == "OpId",
            ["super", module, ..] => allowed.contains(&module),
            _ => path[..2] == ["crate", "clock"],
        };
        if !is_value {
            found.push(format!("src/domain/guard.rs:{line}: `{}`", path.join("::")));
        }
    }
    // What `plan` gives to the guard are values only.
    let plan_words = ["Action", "Deletion", "Order", "Plan", "When"];
    for (line, code) in guard.code().filter(|(_, code)| code.trim_start().starts_with("use super::plan::")) {
        let names = code.rsplit("::").next().unwrap().split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty());
        found.extend(names.filter(|name| !plan_words.contains(name)).map(|name| format!("src/domain/guard.rs:{line}: `{name}`")));
    }
    assert_none(&found);
}

/// Invariant 6: there is no dry-run flag below the command line; `plan` makes the plan and stops.
#[test]
fn a_dry_run_is_a_plan_that_is_printed() {
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|file| file.path.starts_with("src/") && file.module() != "cli") {
        found.extend(file.code().filter(|(_, code)| code.contains("dry_run")).map(|(line, _)| format!("{}:{line}", file.path)));
    }
    assert_none(&found);
}

/// Invariant 7 (I14): the daemon's path cannot name a restore. Besides the adapter's own module, one command can.
#[test]
fn only_one_command_reaches_a_restore() {
    let at_home = |path: &str| path.starts_with("src/provider/") || path == "src/cli/restore.rs";
    let mut found = Vec::new();
    for file in rust_files().iter().filter(|file| file.path.starts_with("src/") && !at_home(&file.path)) {
        let names = ["Restorer", "provider::restore", "restore_snapshot(", "restore_backup("];
        // The emulator is the provider's side.
        let of_client = file.code().filter(|(_, code)| file.module() != "emulator" && names.iter().any(|name| code.contains(name)));
        found.extend(of_client.map(|(line, code)| format!("{}:{line}: {}", file.path, code.trim())));
    }
    assert_none(&found);
    // Nor does what the adapter gives to everybody lead there.
    for file in files_of("provider").iter().filter(|file| !file.is_test() && file.path != "src/provider/restore.rs") {
        found.extend(file.code().filter(|(_, code)| code.contains("Restorer")).map(|(line, _)| format!("{}:{line}", file.path)));
    }
    assert_none(&found);
    assert!(files_of("provider").iter().any(|file| file.text.contains("pub trait Restorer")), "the trait has another name by now");
}

/// Invariant 8: what is read from outside has a struct of its own, which nobody else sees.
#[test]
fn wire_structs_are_private() {
    let mut found = Vec::new();
    for module in ["config", "control", "controller", "domain", "emulator", "journal", "provider", "serve", "telemetry"] {
        for file in files_of(module) {
            let mut is_read = false;
            for (line, code) in file.code() {
                let code = code.trim_start();
                is_read |= code.starts_with("#[derive(") && code.contains("Deserialize");
                if code.contains("struct ") || code.contains("enum ") {
                    if is_read && code.starts_with("pub ") {
                        found.push(format!("{}:{line}: {code}", file.path));
                    }
                    is_read = false;
                }
            }
        }
    }
    assert_none(&found);
}
