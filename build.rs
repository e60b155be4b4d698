//! Two small pieces of C that change how the C library behaves, and a way to link: `docs/decisions.md` says why.

use std::env;
use std::process::Command;

/// Tunes the allocator, in every build; linked in although nothing calls it.
const ALLOCATOR: &str = "src/allocator.c";
/// Lets a static program find names without the system's libraries; every other build is left as it is.
const NAMES: &str = "packaging/names.c";
/// The first glibc that reads packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ALLOCATOR}");
    println!("cargo::rerun-if-changed={NAMES}");
    cc::Build::new().file(ALLOCATOR).link_lib_modifier("+whole-archive").compile("snapwarden_allocator");
    let is = |name: &str, word: &str| env::var(name).is_ok_and(|words| words.split(',').any(|found| found == word));
    let is_gnu = is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu");
    let is_static = is("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if is_gnu && is_static {
        for object in cc::Build::new().file(NAMES).compile_intermediates() {
            println!("cargo::rustc-link-arg-bins={}", object.display());
        }
    }
    // The program runs with the C library that it was built with, or a newer one; of another machine's nothing is known.
    if is_gnu && !is_static && env::var("HOST") == env::var("TARGET") && glibc().is_some_and(|version| version >= PACKED_SINCE) {
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc, if it has one.
fn glibc() -> Option<(u32, u32)> {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
