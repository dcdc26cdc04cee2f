#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sabot_proxy::short_way(data));
