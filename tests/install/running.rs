//! The verbs that are about a running svscan.

use testkit::{Finished, Scratch, Suite, finish, wait_until};

fn scratch() -> Scratch {
    let suite = Suite::under_test();
    Scratch::with(if suite.is_original() { Suite::ours() } else { suite })
}

fn boot(scratch: &Scratch, verb: &str) -> Finished {
    let dir = scratch.path("service");
    finish(scratch.command("uphold", &["boot", verb, "--scan-dir"]).arg(dir))
}

#[test]
fn without_a_svscan_there_is_nothing_to_stop() {
    let scratch = scratch();
    for _ in 0..2 {
        assert_eq!(boot(&scratch, "status").code, 3);
        assert_eq!(boot(&scratch, "reload").code, 3);
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        assert!(stopped.out().starts_with("no svscan runs in "), "{}", stopped.out());
        scratch.mkdir("service");
    }
}

#[test]
fn a_svscan_is_found_by_its_directory_and_ended() {
    for program in ["svscan", "uphold"] {
        let scratch = scratch();
        scratch.mkdir("service");
        scratch.mkdir("other");
        let words = if program == "svscan" { vec!["service"] } else { vec!["svscan", "service"] };
        let mut svscan = scratch.start("svscan", program, &words);
        let mut other = scratch.start("other", "svscan", &["other"]);
        wait_until("it runs", || boot(&scratch, "status").code == 0);
        let reloaded = boot(&scratch, "reload");
        assert_eq!((reloaded.code, reloaded.err().as_str()), (0, ""));
        let stopped = boot(&scratch, "stop");
        assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
        wait_until("it has ended", || svscan.ended().is_some());
        assert_eq!(boot(&scratch, "status").code, 3);
        assert_eq!(other.ended(), None, "another is left alone");
    }
}
