//! Expressions, a time zone and a time.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapwarden::fuzzing::cron(data));
