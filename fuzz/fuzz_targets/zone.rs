//! Any bytes as the file of a time zone or as the text of TZ, at any second: nothing panics, and what comes out is a time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tai::Zone;

fuzz_target!(|input: (i64, &[u8])| {
    let (seconds, bytes) = input;
    for zone in [Zone::from_file(bytes), Zone::from_text(bytes)].into_iter().flatten() {
        if let Some(time) = zone.local_time(seconds) {
            assert!((1..=12).contains(&time.month) && (1..=31).contains(&time.day));
            assert!(time.hour < 24 && time.minute < 60 && time.second <= 60);
        }
    }
});
