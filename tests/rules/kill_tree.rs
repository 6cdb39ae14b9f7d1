//! `kill-mode tree`: whatever descends from the service, whatever group, session or parent it has by now.
//!
//! Each test runs where supervise can make a cgroup for the service, and where it cannot.

use std::fs;
use std::time::Duration;

use testkit::{holds_for, lives, needs_program, signal, wait_for, wait_until};

use super::place::Place;
use super::service::{Service, User, users};

/// A `run` whose helper has made a session of its own, and has lost its parent.
const DAEMON: &str = "setsid sh -c 'setsid sh ./helper & exec sleep 0.05' & echo >>starts; exec sleep 1000";
/// One whose helper has made a session of its own, and is its child.
const CHILD: &str = "setsid sh ./helper & echo >>starts; exec sleep 1000";

const OBEYS: &str = "echo $$ >pid.new; mv pid.new helper.pid; exec sleep 1000";
const STUBBORN: &str = "trap '' TERM; echo $$ >pid.new; mv pid.new helper.pid; exec sleep 1000";
const HELD: &str = "exec 2>/dev/null; trap 'echo told >>ends' TERM; echo $$ >pid.new; mv pid.new helper.pid; while [ -e hold ]; do sleep 0.02; done";

/// Where a service is started.
struct Way {
    user: User,
    /// The cgroup for its supervise. Without one, a cgroup cannot be made anyway.
    place: Option<Place>,
    /// The service gets a cgroup there.
    has_cgroup: bool,
}

impl Way {
    /// `None` if no cgroup can be made here.
    fn new(user: User, has_cgroup: bool) -> Option<Way> {
        let place = if has_cgroup {
            Some(Place::new(user)?)
        } else {
            // Who may make cgroups anywhere is kept from it.
            Place::made(User::Own).ok().inspect(Place::close)
        };
        Some(Way { user, place, has_cgroup })
    }

    /// Moves the supervise of the service to the place.
    fn take(&self, service: &Service) {
        self.place.iter().for_each(|place| place.take(service.record().observed.supervise.pid));
    }

    /// Starts another supervise in place of one that was killed.
    fn succeed(&self, service: &mut Service) {
        service.supervise();
        self.take(service);
    }

    /// A service with a helper, which is up.
    fn helped(&self, run: &str, helper: &str) -> Service {
        let files = [("kill-mode", "tree"), ("helper", helper), ("hold", ""), ("down", "")];
        let service = Service::new(self.user, run, &files).start();
        self.take(&service);
        service.remove("down");
        service.svc("-u");
        service.wait_starts(1);
        assert_eq!(service.record().observed.main.life != 0, self.has_cgroup);
        service
    }
}

/// Runs `test` for each user, with and without a cgroup for the service.
fn for_each_way(test: impl Fn(&Way) + Sync) {
    let ways: Vec<_> = users().iter().flat_map(|&user| [(user, true), (user, false)]).collect();
    testkit::for_each(&ways, |&(user, has_cgroup)| {
        if let Some(way) = Way::new(user, has_cgroup) {
            test(&way);
        }
    });
}

/// Waits until a helper other than `old` runs with a session of its own, and returns its pid.
#[track_caller]
fn helper(service: &Service, old: Option<u32>) -> u32 {
    let file = service.scratch.path("web/helper.pid");
    let read = || fs::read_to_string(&file).ok()?.trim_end().parse().ok();
    let is_it = |&pid: &u32| Some(pid) != old && testkit::session(pid) == Some(pid);
    wait_for("a helper runs", || read().filter(is_it))
}

/// Waits until svstat says that something is left. Which process has the lowest pid is not known: pids begin anew at some time.
#[track_caller]
fn wait_left(service: &Service) {
    let line = "down S seconds, normally up, want up, leftovers pid ";
    wait_until("something is left", || service.svstat().starts_with(line));
}

/// Waits until this process is a child of the supervise of the service.
#[track_caller]
fn wait_orphaned(service: &Service, helper: u32) {
    let supervise = testkit::parent(service.wait_up());
    wait_until("it has lost its parent", || testkit::parent(helper) == supervise);
}

#[test]
fn whatever_descends_from_the_service_ends_with_it() {
    if needs_program("setsid").is_none() {
        return;
    }
    for_each_way(|way| {
        for run in [DAEMON, CHILD] {
            let service = way.helped(run, OBEYS);
            let (run_pid, first) = (service.wait_up(), helper(&service, None));
            if run == DAEMON {
                wait_orphaned(&service, first);
            }
            signal(run_pid, "KILL");
            service.wait_restart(run_pid);
            assert!(!lives(first), "{run}");
            let next = helper(&service, Some(first));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert!(!lives(next), "{run}");
            assert_eq!((service.said().as_str(), service.svstat().as_str()), ("", "down S seconds, normally up"));
        }
    });
}

#[test]
fn what_does_not_end_when_it_is_told_is_waited_for_and_killed_in_its_time() {
    for_each_way(|way| {
        let service = way.helped(DAEMON, HELD);
        service.put("timeout-kill", "10m");
        let (run, held) = (service.wait_up(), helper(&service, None));
        wait_orphaned(&service, held);
        service.svc("-r");
        wait_left(&service);
        wait_until("it was told", || service.ends() == "told\n");
        service.svc("-u");
        service.stays(1);
        service.put("helper", STUBBORN);
        service.remove("hold");
        let next = service.wait_restart(run);
        service.put("timeout-kill", "200");
        let stubborn = helper(&service, Some(held));
        signal(next, "KILL");
        service.wait_restart(next);
        assert!(!lives(stubborn));
        let late = "supervise: warning: unable to end what web has left behind in time, killing all of it\n";
        assert_eq!(service.said(), late);
    });
}

#[test]
fn a_process_that_does_not_end_is_killed_with_all_that_descends_from_it() {
    for_each_way(|way| {
        let run = "trap '' TERM; setsid sh ./helper & echo >>starts; exec sleep 1000";
        let service = way.helped(run, STUBBORN);
        service.put("timeout-kill", "200");
        let (run, helper) = (service.wait_up(), helper(&service, None));
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert!(!lives(run) && !lives(helper));
        assert_eq!(service.said(), format!("supervise: warning: unable to end web in time, killing pid {run}\n"));
    });
}

#[test]
fn a_new_copy_keeps_what_is_its_own() {
    for_each_way(|way| {
        for run in [DAEMON, CHILD] {
            let service = way.helped(run, OBEYS);
            service.put("warmup", "300");
            let (run_pid, old) = (service.wait_up(), helper(&service, None));
            if run == DAEMON {
                wait_orphaned(&service, old);
            }
            assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
            let next = service.wait_restart(run_pid);
            let new = helper(&service, Some(old));
            wait_until("the old one has gone", || !lives(run_pid) && !lives(old));
            holds_for(Duration::from_millis(300), "the new one has not", || lives(next) && lives(new));
            assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
            assert!(!lives(new), "{run}");
        }
    });
}

#[test]
fn what_supervise_runs_itself_is_not_of_the_service() {
    for_each_way(|way| {
        let service = way.helped(CHILD, OBEYS);
        service
            .scratch
            .script("web/check", "echo $$ >check.new; mv check.new check.pid; [ -e ready ] || exec sleep 1000");
        let (run, old) = (service.wait_up(), helper(&service, None));
        service.put("timeout-ready", "0");
        service.svc("-R");
        let check = || fs::read_to_string(service.scratch.path("web/check.pid")).ok()?.trim_end().parse::<u32>().ok();
        let check = wait_for("it is checked", check);
        // The main copy ends, so the new one takes its place, and goes on being checked.
        signal(run, "KILL");
        wait_until("what is left of the old one has ended", || !lives(old));
        assert!(lives(check));
        service.put("ready", "");
        signal(check, "KILL");
        assert_eq!(service.wait(&["--wait=ready"]).code, 0);
    });
}

#[test]
fn a_successor_finds_what_is_below_the_process_and_without_a_cgroup_says_that_there_may_be_more() {
    for_each_way(|way| {
        let mut service = way.helped(CHILD, OBEYS);
        let (run, helper) = (service.wait_up(), helper(&service, None));
        service.kill_supervise();
        service.supervise();
        assert_eq!(service.wait_up(), run);
        assert_eq!(service.wait(&["-d", "--wait=down"]).code, 0);
        assert!(!lives(run) && !lives(helper));
        let said = "supervise: warning: unable to find all that web leaves behind, since it was taken over\n";
        assert_eq!(service.said(), if way.has_cgroup { "" } else { said });
    });
}

#[test]
fn what_lost_its_parent_before_a_takeover_is_found_in_the_cgroup() {
    for_each_way(|way| {
        if !way.has_cgroup {
            return;
        }
        let mut service = way.helped(DAEMON, HELD);
        service.put("timeout-kill", "10m");
        let (run, held) = (service.wait_up(), helper(&service, None));
        wait_orphaned(&service, held);
        service.kill_supervise();
        // Nobody sees the end of run.
        signal(run, "KILL");
        wait_until("it has ended", || !lives(run));
        way.succeed(&mut service);
        wait_left(&service);
        wait_until("it was told", || service.ends() == "told\n");
        service.kill_supervise();
        way.succeed(&mut service);
        wait_left(&service);
        service.stays(1);
        service.put("helper", STUBBORN);
        service.remove("hold");
        let next = service.wait_restart(run);
        let stubborn = helper(&service, Some(held));
        service.put("timeout-kill", "200");
        service.kill_supervise();
        way.succeed(&mut service);
        signal(next, "KILL");
        service.wait_restart(next);
        assert!(!lives(stubborn));
        let late = "supervise: warning: unable to end what web has left behind in time, killing all of it\n";
        assert_eq!(service.said(), late);
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        assert_eq!(way.place.as_ref().expect("it has a cgroup").names(), [""; 0]);
    });
}

#[test]
fn an_upgrade_goes_on_waiting_for_all_that_is_left() {
    for_each_way(|way| {
        let service = way.helped(DAEMON, HELD);
        service.put("timeout-kill", "10m");
        let (run, held) = (service.wait_up(), helper(&service, None));
        wait_orphaned(&service, held);
        service.svc("--reexec");
        assert_eq!(service.wait(&["-c", "--wait=up"]).code, 0);
        signal(run, "KILL");
        for _ in 0..2 {
            wait_left(&service);
            service.svc("--reexec");
            assert_eq!(service.wait(&["-c", "--wait=down", "--timeout=50ms"]).code, 1);
        }
        service.stays(1);
        service.remove("hold");
        service.wait_restart(run);
        assert_eq!(service.said(), "");
    });
}
