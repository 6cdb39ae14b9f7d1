//! A link in the scan directory that leads into a file system that does not answer stops the original's svscan, and with it every other service
//! whose supervise ends. Ours has a child look first, and goes on without that name. Why: no loop waits for a file system.

#![cfg(target_os = "linux")]

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Running, Scratch, needs_program, needs_root, signal, start, wait_until};

use crate::world::{pid, process, svstat, wait_up};

/// Mounts a file system of which nobody answers on `dead`, in a namespace of its own, and becomes svscan there. Another file system is on `live`.
const SCRIPT: &str = "mount -t tmpfs live live && mkdir live/b && cp run live/b/run || exit 1
exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 dead dead || exit 1
sleep 100000 & exec 3<&-; echo $! >holder; exec \"$@\" scan 2>err";

/// Says why the tests cannot be run here, if so, and returns false.
fn is_possible() -> bool {
    testkit::needs_inotify()
        && needs_root()
        && needs_program("unshare").is_some()
        && std::fs::File::open("/dev/fuse").is_ok()
}

/// The process that holds the dead file system. When it has ended, looks come back. It ends with the test, since a svscan that waits for a look
/// cannot be killed.
struct Holder<'s>(&'s Scratch);

impl Holder<'_> {
    fn end(&self) {
        // svscan may have killed it in its stop.
        if let Ok(pid) = std::fs::read_to_string(self.0.path("holder")) {
            testkit::finish(Command::new("kill").args(["-KILL", pid.trim()]));
        }
    }
}

impl Drop for Holder<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// Makes a service `a` in the scan directory, and links `dead` and `live` that lead into other file systems, and starts this svscan there, with
/// these options.
fn start_svscan<'s>(scratch: &'s Scratch, svscan: &Path, options: &[&str]) -> (Running, Holder<'s>) {
    scratch.service("scan/a", "exec sleep 1000");
    scratch.script("run", "exec sleep 1000");
    for name in ["dead", "live"] {
        scratch.mkdir(name);
        symlink(format!("../{name}/b"), scratch.path(format!("scan/{name}"))).expect("a link");
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(svscan).args(options).current_dir(scratch.root());
    (start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null())), Holder(scratch))
}

#[test]
fn a_link_into_a_dead_file_system_keeps_nothing_else_from_being_served() {
    if !is_possible() {
        return;
    }
    let scratch = Scratch::new();
    let (mut svscan, holder) = start_svscan(&scratch, &scratch.suite().path("svscan"), &[]);
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
    holder.end();
    wait_until("that is said", || {
        scratch.text("err").starts_with(&format!("{said}svscan: warning: unable to stat dead: "))
    });
    assert_eq!(svscan.ended(), None);
}

/// Copies the programs that svscan needs, with a svok that cannot be executed, and returns the copy of svscan.
fn without_svok(scratch: &Scratch) -> PathBuf {
    scratch.mkdir("programs");
    for program in ["svscan", "supervise", "svok"] {
        std::fs::copy(scratch.suite().path(program), scratch.path(format!("programs/{program}"))).expect("a copy");
    }
    std::fs::set_permissions(scratch.path("programs/svok"), Permissions::from_mode(0o644)).expect("it is ours");
    scratch.path("programs/svscan")
}

#[test]
fn a_look_that_no_child_could_take_proves_nothing() {
    if !is_possible() {
        return;
    }
    let scratch = Scratch::new();
    let svscan = without_svok(&scratch);
    let (mut svscan, _holder) = start_svscan(&scratch, &svscan, &[]);
    wait_up(&scratch, "scan/a");
    let said = |name| format!("svscan: warning: unable to start svok {name}: access denied\n");
    wait_until("it is said", || ["dead", "live"].iter().all(|name| scratch.text("err").contains(&said(*name))));
    // It still hears.
    scratch.service("scan/c", "exec sleep 1000");
    wait_up(&scratch, "scan/c");
    std::fs::set_permissions(scratch.path("programs/svok"), Permissions::from_mode(0o755)).expect("it is ours");
    wait_until("what lives is served", || process(&scratch, &["live"]).is_some());
    assert_eq!(svscan.ended(), None);
}

#[test]
fn a_svscan_without_a_descriptor_waits_for_no_file_system() {
    let prlimit = needs_program("prlimit").filter(|_| is_possible());
    let Some(prlimit) = prlimit else {
        return;
    };
    let scratch = Scratch::new();
    let (mut svscan, _holder) = start_svscan(&scratch, &scratch.suite().path("svscan"), &[]);
    wait_up(&scratch, "scan/a");
    wait_until("all is looked at", || process(&scratch, &["live"]).is_some());
    let limit = |files: &str| {
        let mut command = Command::new(&prlimit);
        let ran = testkit::finish(command.arg(format!("--pid={}", svscan.pid())).arg(format!("--nofile={files}:4096")));
        assert_eq!(ran.code, 0, "{}", ran.err());
    };
    limit("3");
    symlink("../dead/b", scratch.path("scan/second")).expect("a link");
    // A svok that needs a dynamic loader does not even begin.
    let said = [", going on without: timed out\n", ", trying again in 5 seconds: svok exited 127\n"];
    let said = said.map(|end| format!("svscan: warning: unable to stat second{end}"));
    wait_until("it is said", || said.iter().any(|said| scratch.text("err").contains(said)));
    limit("4096");
    scratch.service("scan/c", "exec sleep 1000");
    wait_up(&scratch, "scan/c");
    assert_eq!(svscan.ended(), None);
}

#[test]
fn a_stop_waits_for_no_file_system() {
    if !is_possible() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("dies", "exec sleep 1000");
    scratch.service("scan/b", "trap 'echo >>ended; exit' TERM; echo >>begun; while :; do sleep 1000 & wait $!; done");
    symlink("../dies", scratch.path("scan/dies")).expect("a link");
    let (mut svscan, _holder) = start_svscan(&scratch, &scratch.suite().path("svscan"), &["--init", "--grace", "5"]);
    for name in ["dies", "scan/a", "scan/b"] {
        wait_up(&scratch, name);
    }
    wait_until("it hears TERM", || scratch.path("scan/b/begun").exists());
    // From now on nothing can be learned by this name any more.
    symlink("../dead/b", scratch.path("scan/.new")).expect("a link");
    std::fs::rename(scratch.path("scan/.new"), scratch.path("scan/dies")).expect("it is ours");
    svscan.signal("TERM");
    assert_eq!((svscan.end(), scratch.path("scan/b/ended").exists()), (0, true));
    let said = "svscan: warning: the stop took too long, and what was left was killed: dies\n";
    assert!(scratch.text("err").ends_with(said), "{}", scratch.text("err"));
}
