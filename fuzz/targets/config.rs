//! A text as the configuration.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapwarden::fuzzing::config(data));
