//! The original tells nothing of what it does. Ours tells it when the environment asks: `UPHOLD_LOG=info`, or `debug` for the
//! commands too. Without the variable it is as silent as the original.

use testkit::{Scratch, start, wait_until};

use crate::world::{svc, wait_up};

#[test]
fn svscan_and_supervise_tell_what_they_do_when_asked() {
    let scratch = Scratch::new();
    scratch.service("service/a", "exec sleep 1000");
    let mut command = scratch.command("svscan", &["service"]);
    command.env("UPHOLD_LOG", "debug").stderr(std::fs::File::create(scratch.path("err")).expect("a file"));
    let _svscan = start(&mut command);
    let pid = wait_up(&scratch, "service/a");
    svc(&scratch, "-d", "service/a");
    for line in [
        "svscan: info: a: supervise started as pid ".to_owned(),
        format!("supervise: info: a: started as pid {pid}\n"),
        "supervise: debug: a: command d\n".to_owned(),
        format!("supervise: info: a: pid {pid} was killed by signal 15\n"),
    ] {
        wait_until(&line, || scratch.text("err").contains(&line));
    }
}

#[test]
fn info_leaves_the_commands_out_and_nonsense_is_no_reason_to_fail() {
    for (value, told) in [("info", true), ("nonsense", false), ("", false)] {
        let scratch = Scratch::new();
        scratch.service("a", "exec sleep 1000");
        let mut command = scratch.command("supervise", &["a"]);
        command.env("UPHOLD_LOG", value).stderr(std::fs::File::create(scratch.path("err")).expect("a file"));
        let mut supervise = start(&mut command);
        wait_up(&scratch, "a");
        svc(&scratch, "-dx", "a");
        assert_eq!(supervise.end(), 0);
        assert_eq!(scratch.text("err").contains("supervise: info: a: started as pid "), told, "{value}");
        assert!(!scratch.text("err").contains("debug"), "{value}");
    }
}
