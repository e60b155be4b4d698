//! A refusal: status, `Retry-After` and body.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapwarden::fuzzing::refusal(data));
