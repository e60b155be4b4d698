//! Lets a static program find names without the system's libraries; every other build is left as it is.

use std::env;

fn main() {
    const SOURCE: &str = "packaging/names.c";
    println!("cargo::rerun-if-changed={SOURCE}");
    let is = |name: &str, word: &str| env::var(name).is_ok_and(|words| words.split(',').any(|found| found == word));
    if is("CARGO_CFG_TARGET_FEATURE", "crt-static") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        for object in cc::Build::new().file(SOURCE).compile_intermediates() {
            println!("cargo::rustc-link-arg-bins={}", object.display());
        }
    }
}
