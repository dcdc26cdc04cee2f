#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sabot_fuzz::envoy::run(data));
