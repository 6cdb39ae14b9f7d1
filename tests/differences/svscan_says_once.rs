//! The original repeats its warnings every five seconds for as long as the cause lasts. Ours says each cause once, so that a dangling
//! link does not push everything else out of the process title. The trouble is looked at again every five seconds.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::{Scratch, holds_for, wait_until};

use crate::world::{A_LOOK, wait_up};

#[test]
fn a_dangling_link_is_said_once_and_served_when_its_target_appears() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.mkdir("service");
    symlink("../a", scratch.path("service/a")).expect("a link");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let said = "svscan: warning: unable to stat a: file does not exist\n";
    wait_until("said", || scratch.text("svscan.err") == said);
    holds_for(A_LOOK, "said once", || scratch.text("svscan.err") == said);
    scratch.service("a", "exec sleep 1000");
    wait_up(&scratch, "service/a");
    fs::remove_file(scratch.path("service/a")).expect("removes");
    symlink("../nowhere", scratch.path("service/a")).expect("a link");
    wait_until("said again", || scratch.text("svscan.err") == said.repeat(2));
}

#[test]
fn a_link_that_leads_to_itself_is_said_once() {
    if !testkit::needs_inotify() {
        return;
    }
    let scratch = Scratch::new();
    scratch.mkdir("service");
    symlink("a", scratch.path("service/a")).expect("a link");
    let _svscan = scratch.start("svscan", "svscan", &["service"]);
    let said = "svscan: warning: unable to stat a: symbolic link loop\n";
    wait_until("said", || scratch.text("svscan.err") == said);
    holds_for(A_LOOK, "said once", || scratch.text("svscan.err") == said);
}
