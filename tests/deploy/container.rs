//! What the Containerfile copies in is all that the build reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::files::{path, read};

/// The files of this folder that end with `.rs`, those of its folders too.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap().path();
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            found.push(entry);
        }
    }
}

/// A path without `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => assert!(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

/// Every file that the build reads beside the sources themselves, from the root of the repository.
fn read_by_the_build() -> BTreeSet<PathBuf> {
    let named = [".cargo/config.toml", "Cargo.toml", "Cargo.lock", "build.rs", "src/main.rs", "src/lib.rs"];
    let mut found = BTreeSet::from(named.map(PathBuf::from));
    let quoted = |text: &str| text.split('"').nth(1).unwrap().to_owned();
    let root = path("");
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for word in ["include_str!(", "include_bytes!("] {
            for tail in text.split(word).skip(1).filter(|tail| tail.starts_with('"')) {
                let included = plain(&file.parent().unwrap().join(quoted(tail)));
                found.insert(included.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    let build = read("build.rs");
    found.extend(build.lines().filter(|line| line.starts_with("const ") && line.contains(": &str = ")).map(quoted).map(PathBuf::from));
    // Programs, tests and benches that are named have to be there, or cargo reads no further.
    found.extend(read("Cargo.toml").lines().filter(|line| line.starts_with("path = ")).map(quoted).map(PathBuf::from));
    found
}

#[test]
fn the_containerfile_copies_all_that_the_build_reads() {
    let containerfile = read("deploy/container/Containerfile");
    let (build, _) = containerfile.split_once("\nFROM scratch\n").unwrap();
    let copied: Vec<&str> = build
        .lines()
        .filter_map(|line| line.strip_prefix("COPY "))
        .flat_map(|line| line.rsplit_once(' ').unwrap().0.split(' '))
        .map(|from| from.trim_start_matches("./"))
        .collect();
    let ignore = read(".containerignore");
    let ignored: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let all = read_by_the_build();
    assert!(all.contains(Path::new("src/allocator.c")) && all.contains(Path::new("config/snapwarden.schema.json")), "{all:?}");
    for file in all {
        assert!(path(file.to_str().unwrap()).is_file(), "there is no {}", file.display());
        assert!(copied.iter().any(|from| *from == "." || file.starts_with(from)), "{} is not copied", file.display());
        assert!(!ignored.iter().any(|name| file.starts_with(name)), "{} is in .containerignore", file.display());
    }
}

#[test]
fn the_image_is_labelled_with_this_version() {
    let label = format!("\nARG VERSION={}\n", env!("CARGO_PKG_VERSION"));
    assert!(read("deploy/container/Containerfile").contains(&label), "{label}");
}

#[test]
fn the_image_can_lead() {
    // `.ci/e2e container` sees that the program in it can.
    assert!(read("deploy/container/Containerfile").contains("\nARG FEATURES=kubernetes\n"));
}
