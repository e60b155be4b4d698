//! Compiles what tunes the C library's allocator (`src/allocator.c`), and links it in although nothing calls it.

fn main() {
    println!("cargo::rerun-if-changed=src/allocator.c");
    println!("cargo::rerun-if-changed=build.rs");
    cc::Build::new()
        .file("src/allocator.c")
        .link_lib_modifier("+whole-archive")
        .warnings_into_errors(false)
        .compile("snapwarden_allocator");
}
