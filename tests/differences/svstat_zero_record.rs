//! For a stamp that is no time of this age, such as one of zeros on a file system that lost the file's contents, the
//! original's svstat prints a number of seconds that went through a double: near the difference, but not it. Ours prints the
//! difference.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use testkit::Scratch;

/// TAI64 second now, as daemontools counts.
fn now() -> u64 {
    (1 << 62) + 10 + SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn the_age_of_a_record_of_zeros_is_exact() {
    let scratch = Scratch::new();
    let ok = scratch.mkdir("a/supervise").join("ok");
    sys::fd::make_fifo(&ok).expect("a FIFO");
    let _reader = sys::fd::open_read(&ok).expect("a FIFO");
    fs::write(scratch.path("a/supervise/status"), [0; 18]).expect("a file");
    let before = now();
    let ran = scratch.run("svstat", &["a"]);
    let after = now();
    assert_eq!(ran.code, 0);
    let said = |seconds: u64| format!("a: down {seconds} seconds, normally up\n");
    assert!((before..=after).any(|seconds| ran.out() == said(seconds)), "{} is not {before}", ran.out());
}
