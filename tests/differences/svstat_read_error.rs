//! When the original's svstat cannot read a status file, it shows the record of the service before, or zeros, as if it were
//! this one's. Ours says that it cannot and why, in the words that the original has for it but never prints.

use testkit::Scratch;

#[test]
fn a_status_that_cannot_be_read_is_said() {
    let scratch = Scratch::new();
    scratch.mkdir("a/supervise/status");
    let ok = scratch.path("a/supervise/ok");
    sys::fd::make_fifo(&ok).expect("a FIFO");
    let _reader = sys::fd::open_read(&ok).expect("a FIFO");
    let ran = scratch.run("svstat", &["a"]);
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    assert_eq!(ran.out(), "a: unable to read supervise/status: is a directory\n");
}
