//! A description.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapwarden::fuzzing::mark(data));
