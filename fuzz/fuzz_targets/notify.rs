//! Any datagram of sd_notify: nothing is heard that does not stand in it, and less of one that was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::notify::{Notice, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole: Vec<Notice<'_>> = parse(bytes, false).collect();
    assert!(whole.len() <= bytes.split(|&byte| byte == b'\n').count());
    for notice in &whole {
        match notice {
            Notice::MainPid(pid) => assert!(*pid > 0 && i32::try_from(*pid).is_ok()),
            Notice::Status(text) => assert!(!text.contains(&b'\n')),
            _ => {}
        }
    }
    let cut: Vec<Notice<'_>> = parse(bytes, true).collect();
    assert!(cut.len() <= whole.len());
    for (cut, whole) in cut.iter().zip(&whole) {
        // What belongs to it may stand in the line that does not count.
        assert!(cut == whole || (*cut == Notice::Reloading(None) && matches!(whole, Notice::Reloading(_))));
    }
});
