//! Deploys that do not work: one copy serves at the end, and it is said why.

use testkit::{lives, wait_until};

use super::world::{LONG, NOTING, Watch};

/// What every failure says first.
const FAILED: &str = "[ERROR   ]: HUP: new process failed to start. Abort reload";

/// A command that is well until there is a file `broken`; then it does this.
fn well_until(broken: &str) -> String {
    format!("[ -e broken ] && {{ echo start $$ >>notes; {broken}; }}\n{NOTING}")
}

/// Breaks the command, asks for a reload, and waits until that is given up. Returns the copy that served before, and the new one.
fn deploy_broken(watch: &Watch) -> (u32, u32) {
    let old = watch.wait_for_starts(1);
    watch.scratch.write("broken", "");
    watch.hup();
    let new = watch.wait_for_starts(2);
    watch.wait_until_said(FAILED, 1);
    watch.wait_for_reloads(1);
    (old, new)
}

/// The one that served before serves on, alone, and a reload works again.
fn check_that_old_serves(watch: &mut Watch, old: u32) {
    wait_until("the old copy is alone", || watch.alive() == [old]);
    assert!(!watch.notes().contains(&format!("TERM {old}")));
    std::fs::remove_file(watch.scratch.path("broken")).expect("it is there");
    watch.hup();
    watch.wait_for_starts(3);
    assert_eq!(watch.hupwatch.ended(), None);
}

#[test]
fn new_copy_that_dies_at_once() {
    let mut watch = Watch::begun(&["-w", LONG], &well_until("exit 7"));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("[ERROR   ]: HUP: new process ({new}) quit with code: 7"), 1);
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_dies_after_half_a_second() {
    let mut watch = Watch::begun(&["-w", LONG], &well_until("sleep 0.5; kill -9 $$"));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("HUP: new process ({new}) quit with code: -9"), 1);
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_never_gets_ready() {
    let mut watch = Watch::begun(&["--ready", "fd:5", "--ready-timeout", "2"], &well_until("exec sleep 100000"));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("HUP: new process ({new}) was not ready in time"), 1);
    watch.wait_until_said("HUP: New process quit with code: -15", 1);
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_never_gets_ready_and_ignores_term() {
    let options = ["--ready=fd:5", "--ready-timeout=2", "--grace=0.2"];
    let mut watch = Watch::begun(&options, &well_until("trap '' TERM; exec sleep 100000"));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("Process ({new}) did not quit in time. Killing it!"), 1);
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_never_gets_ready_and_ends_without_its_children() {
    // The shell dies of TERM, and nobody tells its child.
    let broken = "sleep 100000 & echo $! >child; wait";
    let mut watch = Watch::begun(&["-k", "--ready=fd:5", "--ready-timeout=2"], &well_until(broken));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("HUP: new process ({new}) was not ready in time"), 1);
    let child = watch.scratch.text("child").trim().parse().expect("a pid");
    wait_until("its child is killed", || !lives(child));
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_shuts_the_socket_down() {
    let address = testkit::address();
    let shut = super::world::exec_helper("shut");
    let options = ["-w", LONG, "--listen", &format!("tcp:{address}")];
    let mut watch = Watch::begun(&options, &well_until(&format!("({shut}); exit 1")));
    let (old, new) = deploy_broken(&watch);
    watch.wait_until_said(&format!("HUP: new process ({new}) quit with code: 1"), 1);
    watch.wait_until_said(&format!("[ERROR   ]: tcp:{address} was shut down, listening again"), 1);
    // Nobody accepts: it waits.
    std::net::TcpStream::connect(&address).expect("a connection");
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_closes_its_descriptor() {
    let options = ["--ready=fd:5", "--ready-timeout=2"];
    let mut watch = Watch::begun(&options, &well_until("echo -n no >&5; exec 5>&-; exec sleep 100000"));
    let (old, _) = deploy_broken(&watch);
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_goes_into_the_background_is_named_and_its_group_ended() {
    let background = "sleep 100000 & echo $! >background; exit 0";
    let mut watch = Watch::begun(&["-w", LONG], &well_until(background));
    let (old, new) = deploy_broken(&watch);
    let message = format!(
        "HUP: new process ({new}) quit with code: 0, so it has put itself into the background. Killing its process group!"
    );
    watch.wait_until_said(&message, 1);
    let pid = watch.scratch.text("background").trim().parse().expect("a pid");
    wait_until("it is killed", || !lives(pid));
    check_that_old_serves(&mut watch, old);
}

#[test]
fn new_copy_that_cannot_be_executed() {
    let watch = Watch::begun(&["-w", LONG], NOTING);
    let old = watch.wait_for_starts(1);
    std::fs::rename(watch.scratch.path("command"), watch.scratch.path("away")).expect("it is there");
    watch.hup();
    watch.wait_for_reloads(1);
    watch.wait_until_said("hupwatch: warning: unable to run ./command: file does not exist", 1);
    watch.wait_until_said(FAILED, 1);
    assert_eq!(watch.alive(), [old]);
}
