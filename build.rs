//! Two small pieces of C that change how the C library behaves: `docs/decisions.md` says why.

use std::env;

/// Tunes the allocator, in every build; linked in although nothing calls it.
const ALLOCATOR: &str = "src/allocator.c";
/// Lets a static program find names without the system's libraries; every other build is left as it is.
const NAMES: &str = "packaging/names.c";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ALLOCATOR}");
    println!("cargo::rerun-if-changed={NAMES}");
    cc::Build::new().file(ALLOCATOR).link_lib_modifier("+whole-archive").compile("snapwarden_allocator");
    let is = |name: &str, word: &str| env::var(name).is_ok_and(|words| words.split(',').any(|found| found == word));
    if is("CARGO_CFG_TARGET_FEATURE", "crt-static") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().file(NAMES).compile_intermediates() {
            println!("cargo::rustc-link-arg-bins={}", object.display());
        }
    }
}
