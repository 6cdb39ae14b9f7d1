//! Any datagram of sd_notify: nothing is heard that does not stand in it, and less of one that was cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use svdir::notify::{Notice, is_stored_name, parse};

fuzz_target!(|bytes: &[u8]| {
    let whole: Vec<Notice<'_>> = parse(bytes, false).collect();
    assert!(whole.len() <= bytes.split(|&byte| byte == b'\n').count());
    for notice in &whole {
        match notice {
            Notice::MainPid(pid) => assert!(*pid > 0 && i32::try_from(*pid).is_ok()),
            Notice::Status(text) => assert!(!text.contains(&b'\n')),
            Notice::Store(name) | Notice::Unstore(name) => assert!(is_stored_name(name)),
            _ => {}
        }
    }
    // What belongs to one of these may stand in the line that does not count.
    let is_alone = |notice: &Notice<'_>| !matches!(notice, Notice::Reloading(_) | Notice::Store(_) | Notice::Unstore(_));
    let cut: Vec<Notice<'_>> = parse(bytes, true).filter(is_alone).collect();
    assert!(whole.into_iter().filter(is_alone).take(cut.len()).eq(cut));
});
