#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fleetscaler_fuzz::ecs_json(data));
