//! The original's softlimit takes a number modulo 2^64: a limit with a digit too many becomes a small one, and the service
//! dies of it. In ours such a number is wrong usage.
//!
//! The original sets each limit when it comes to the option. Ours reads all options first, and lifts the limits again when
//! the child cannot be run: so a limit that leaves no memory or no file does not keep it from saying what is wrong.

use testkit::{Scratch, finish};

#[test]
fn a_number_that_overflows_is_wrong_usage() {
    let scratch = Scratch::new();
    for number in ["18446744073709551616", "18446744073709551716", "99999999999999999999999999999999"] {
        let ran = scratch.run("softlimit", &["-c", number, "true"]);
        assert_eq!((ran.code, ran.out().as_str()), (100, ""));
        assert!(ran.err().starts_with("softlimit: usage: softlimit [-a allbytes] "), "{}", ran.err());
    }
}

#[test]
fn a_complaint_does_not_fall_under_the_limit_on_files() {
    let scratch = Scratch::new();
    for (words, code, text) in [("nosuch", 111, "unable to run nosuch"), ("-c1k nosuch", 100, "usage")] {
        let mut command = std::process::Command::new("/bin/sh");
        command.args(["-c", &format!("softlimit -f 0 {words} 2>file")]).current_dir(scratch.root());
        assert_eq!(finish(command.env("PATH", scratch.suite().search_path())).code, code);
        assert!(scratch.text("file").contains(text), "{}", scratch.text("file"));
    }
}
