//! The pages of a listing.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| snapwarden::fuzzing::listing(data));
