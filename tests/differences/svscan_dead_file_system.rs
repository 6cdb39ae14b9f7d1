//! A link in the scan directory that leads into a file system that does not answer stops the original's svscan, and with it every other service
//! whose supervise ends. Ours has a child look first, and goes on without that name. Why: no loop waits for a file system.

#![cfg(target_os = "linux")]

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use testkit::{Scratch, needs_program, needs_root, signal, start, wait_until};

use crate::world::{pid, process, svstat, wait_up};

/// Mounts a file system of which nobody answers on `dead`, in a namespace of its own, and becomes svscan there. Another file system is on `live`.
const SCRIPT: &str = "mount -t tmpfs live live && mkdir live/b && cp run live/b/run || exit 1
exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead dead || exit 1
sleep 100000 & exec 3<&-; echo $! >holder; exec \"$0\" scan 2>err";

#[test]
fn a_link_into_a_dead_file_system_keeps_nothing_else_from_being_served() {
    if !testkit::needs_inotify() {
        return;
    }
    if !needs_root() || needs_program("unshare").is_none() || std::fs::File::open("/dev/fuse").is_err() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "exec sleep 1000");
    scratch.script("run", "exec sleep 1000");
    for name in ["dead", "live"] {
        scratch.mkdir(name);
        symlink(format!("../{name}/b"), scratch.path(format!("scan/{name}"))).expect("a link");
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT]).arg(scratch.suite().path("svscan")).current_dir(scratch.root());
    let mut svscan = start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null()));
    // Whatever comes first.
    wait_up(&scratch, "scan/a");
    wait_until("what is in another file system that lives is served", || process(&scratch, &["live"]).is_some());
    let (child, supervise) = (pid(&scratch, "scan/a"), process(&scratch, &["a"]).expect("it runs"));
    svscan.signal("HUP");
    signal(supervise, "KILL");
    wait_until("another supervise runs", || process(&scratch, &["a"]).is_some_and(|new| new != supervise));
    wait_until("it has taken over", || {
        svstat(&scratch, "scan/a").starts_with("up ") && pid(&scratch, "scan/a") == child
    });
    scratch.service("scan/c", "exec sleep 1000");
    wait_up(&scratch, "scan/c");
    let said = "svscan: warning: unable to stat dead, going on without: timed out\n";
    wait_until("it is said", || scratch.text("err") == said);
    // Now it is dead for good, and a look comes back.
    signal(scratch.text("holder").trim().parse().expect("a pid"), "KILL");
    wait_until("that is said", || {
        scratch.text("err").starts_with(&format!("{said}svscan: warning: unable to stat dead: "))
    });
    assert_eq!(svscan.ended(), None);
}
