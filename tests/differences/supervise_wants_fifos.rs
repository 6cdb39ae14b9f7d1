//! The original takes whatever `supervise/control` is: from a regular file it reads for ever at full CPU. Ours ends with the
//! original's message for a control that cannot be read, since nothing good can come of it; likewise for `supervise/ok`.

use testkit::Scratch;

#[test]
fn a_control_or_ok_that_is_no_fifo_is_fatal() {
    for file in ["control", "ok"] {
        let scratch = Scratch::new();
        scratch.service("a", "exec sleep 1000");
        scratch.write(format!("a/supervise/{file}"), "kept");
        let ran = scratch.run("supervise", &["a"]);
        assert_eq!(ran.code, 111);
        assert_eq!(ran.err(), format!("supervise: fatal: unable to read a/supervise/{file}: not a FIFO\n"));
        assert_eq!(scratch.text(format!("a/supervise/{file}")), "kept");
    }
}

#[test]
fn a_directory_in_place_of_ok_is_fatal() {
    let scratch = Scratch::new();
    scratch.service("a", "exec sleep 1000");
    scratch.mkdir("a/supervise/ok");
    let ran = scratch.run("supervise", &["a"]);
    assert_eq!(ran.code, 111);
    assert_eq!(ran.err(), "supervise: fatal: unable to read a/supervise/ok: not a FIFO\n");
}
