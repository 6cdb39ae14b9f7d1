//! The orderly stop of services that need each other: what is needed is ended later.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use testkit::{Running, Scratch, children, finish, signal, skip, start, wait_for, wait_until};

use super::world::{FOREVER, Init, lines};

/// What a service does between TERM and its end, if nothing else.
const SLOW: &str = "sleep 0.2;";

/// A service that notes in the file `order` of the test when it is told to end and when it has ended, and needs others.
fn service(scratch: &Scratch, name: &str, needs: &[&str], meanwhile: &str) {
    let order = scratch.path("order");
    let note = |what: &str| format!("echo {name} {what} >>{}", order.display());
    let trap = format!("{}; {meanwhile} {}; exit", note("told"), note("ended"));
    let body = format!("trap '{trap}' TERM; echo >>started; while :; do sleep 100000 >/dev/null & wait $!; done");
    scratch.service(&format!("scan/{name}"), &body);
    for needed in needs {
        scratch.write(format!("scan/{name}/dependencies.d/{needed}"), "");
    }
}

/// A `meanwhile` that waits until all of these lines stand in the file `order`.
fn until(scratch: &Scratch, noted: &[&str]) -> String {
    let order = scratch.path("order");
    let wait = |line: &&str| format!("until grep -q \"{line}\" {}; do sleep 0.02; done; ", order.display());
    noted.iter().map(wait).collect()
}

/// Starts an init, and waits until the services have set their traps.
fn begin<'a>(scratch: &'a Scratch, names: &[&str]) -> Init<'a> {
    let init = Init::start(scratch, &["--grace", FOREVER]);
    for name in names {
        init.wait_lines(&format!("scan/{name}/started"), 1);
    }
    init.wait_ready();
    init
}

/// Stops services that were begun, and returns the lines of the file `order`.
#[track_caller]
fn stop(scratch: &Scratch, names: &[&str]) -> Vec<String> {
    assert_eq!((begin(scratch, names).stop(), scratch.text("svscan.err").as_str()), (0, ""));
    lines(scratch, "order")
}

/// Asserts that the lines stand there one behind another, perhaps with others between them.
#[track_caller]
fn assert_in_turn(order: &[String], expected: &[&str]) {
    let mut rest = order.iter();
    for line in expected {
        assert!(rest.any(|found| found == line), "{line} in {order:?}, {expected:?}");
    }
}

#[test]
fn a_chain_ends_from_what_nobody_needs_to_what_all_need_and_the_others_beside_it() {
    let scratch = Scratch::new();
    // Whoever is told first waits for the other one: both are told before one of them has ended.
    service(&scratch, "web", &["app"], &until(&scratch, &["other told"]));
    service(&scratch, "other", &[], &until(&scratch, &["web told"]));
    service(&scratch, "app", &[], SLOW);
    scratch.write("scan/app/wants.d/db", "");
    service(&scratch, "db", &[], "");
    let order = stop(&scratch, &["web", "other", "app", "db"]);
    assert_in_turn(&order, &["web told", "web ended", "app told", "app ended", "db told", "db ended"]);
    assert_in_turn(&order, &["other told", "other ended"]);
}

#[test]
fn the_two_sides_of_a_diamond_end_side_by_side() {
    let scratch = Scratch::new();
    service(&scratch, "proxy", &["left", "right"], SLOW);
    service(&scratch, "left", &["db"], &until(&scratch, &["right told"]));
    service(&scratch, "right", &["db"], &format!("{}{SLOW}", until(&scratch, &["left told"])));
    service(&scratch, "db", &[], "");
    let order = stop(&scratch, &["proxy", "left", "right", "db"]);
    for side in ["left", "right"] {
        let side = |what: &str| format!("{side} {what}");
        assert_in_turn(&order, &["proxy ended", &side("told"), &side("ended"), "db told", "db ended"]);
    }
}

#[test]
fn no_cycle_unknown_name_or_dependency_on_itself_holds_a_stop_up() {
    let scratch = Scratch::new();
    service(&scratch, "a", &["b", "a"], SLOW);
    service(&scratch, "b", &["c"], SLOW);
    service(&scratch, "c", &["a"], SLOW);
    // A name of the scan directory that is no service, one that leads nowhere, and others.
    scratch.write("scan/stranger", "");
    symlink("nowhere", scratch.path("scan/nobody")).expect("a link");
    for name in ["stranger", "nobody", "log", "a\nb", ".hidden", "..."]
        .map(OsStr::new)
        .into_iter()
        .chain([OsStr::from_bytes(b"\xff")])
    {
        scratch.write(Path::new("scan/c/wants.d").join(name), "");
    }
    let begun = begin(&scratch, &["a", "b", "c"]);
    assert_eq!(begun.stop(), 0);
    // The first name does not wait for the one that leads back to it.
    let expected = ["b told", "b ended", "c told", "c ended", "a told", "a ended"];
    assert_eq!(lines(&scratch, "order"), expected);
}

#[test]
fn a_graph_of_twenty_ends_in_order() {
    let scratch = Scratch::new();
    let names: Vec<String> = (10..30).map(|number| format!("s{number}")).collect();
    let (mut edges, mut state) = (Vec::new(), 7_u32);
    for (at, name) in names.iter().enumerate() {
        let mut needs: Vec<&str> = Vec::new();
        for needed in &names[at + 1..] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state >> 24 < 60 {
                needs.push(needed);
                edges.push((name, needed));
            }
        }
        service(&scratch, name, &needs, if at % 3 == 0 { SLOW } else { "" });
    }
    assert!(edges.len() > 20, "{edges:?}");
    let order = stop(&scratch, &names.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(order.len(), 2 * names.len());
    for (service, needed) in edges {
        assert_in_turn(&order, &[&format!("{service} ended"), &format!("{needed} told")]);
    }
}

#[test]
fn whoever_ignores_term_holds_up_what_it_needs_until_the_grace_is_over() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "trap : TERM; echo >>started; while :; do sleep 100000 & wait $!; done");
    scratch.write("scan/web/dependencies.d/db", "");
    // It gets its TERM and its KILL in the same moment.
    service(&scratch, "db", &[], "sleep 100;");
    service(&scratch, "other", &[], "");
    let init = Init::start(&scratch, &["--grace", "2"]);
    for name in ["web", "db", "other"] {
        init.wait_lines(&format!("scan/{name}/started"), 1);
    }
    init.wait_ready();
    let begun = Instant::now();
    assert_eq!(init.stop(), 0);
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(5), "all waves have one grace: {took:?}");
    assert_in_turn(&lines(&scratch, "order"), &["other told", "other ended"]);
    let said = scratch.text("svscan.err");
    let late = said.strip_prefix("svscan: warning: the stop took too long, and what was left was killed: ");
    let mut late: Vec<&str> = late.unwrap_or(&said).trim_end().split(", ").collect();
    late.sort_unstable();
    assert_eq!(late, ["db", "web"]);
}

#[test]
fn a_timeout_of_its_own_ends_it_earlier() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "trap : TERM; echo >>started; while :; do sleep 100000 & wait $!; done");
    scratch.write("scan/web/dependencies.d/db", "");
    scratch.write("scan/web/timeout-kill", "300");
    service(&scratch, "db", &[], SLOW);
    assert_eq!(begin(&scratch, &["web", "db"]).stop(), 0);
    assert_eq!(lines(&scratch, "order"), ["db told", "db ended"]);
    let said = scratch.text("svscan.err");
    assert!(said.starts_with("supervise: warning: unable to end web in time, killing pid "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn loggers_are_last_and_lose_no_line() {
    let scratch = Scratch::new();
    for (name, needs) in [("web", &["db"][..]), ("db", &[])] {
        let say = "for line in 1 2 3 4 5 6 7 8 9; do echo last $line; done;";
        service(&scratch, name, needs, &format!("{say} {SLOW} echo end;"));
        scratch.service(&format!("scan/{name}/log"), "exec cat >>lines");
    }
    let init = begin(&scratch, &["web", "db"]);
    init.wait_up(&["web/log", "db/log"]);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
    for name in ["web", "db"] {
        let logged = lines(&scratch, &format!("scan/{name}/log/lines"));
        assert_eq!((logged.len(), logged.last().map(String::as_str)), (10, Some("end")), "{name}: {logged:?}");
    }
}

#[test]
fn a_service_whose_supervise_was_killed_is_waited_for_too() {
    for needed in [false, true] {
        let scratch = Scratch::new();
        service(&scratch, "web", &["db"], SLOW);
        service(&scratch, "db", &[], "");
        let mut init = Init::told(&scratch, &["--grace", FOREVER]);
        let name = if needed { "db" } else { "web" };
        ["web", "db"].into_iter().for_each(|name| init.wait_lines(&format!("scan/{name}/started"), 1));
        init.wait_up(&["web", "db"]);
        init.wait_ready();
        signal(supervise(&scratch, &init, name), "KILL");
        init.signal("TERM");
        assert_eq!((init.end(), init.err().as_str()), (0, ""));
        assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
    }
}

/// The supervise of a service: a child of an init in that directory.
fn supervise(scratch: &Scratch, init: &Init<'_>, name: &str) -> u32 {
    let dir = fs::canonicalize(scratch.path(format!("scan/{name}"))).expect("it is there");
    let is_there = |pid: &u32| fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == dir);
    wait_for("its supervise", || children(init.pid()).into_iter().find(is_there))
}

#[test]
fn a_service_that_was_removed_is_waited_for_too() {
    let scratch = Scratch::new();
    service(&scratch, "web", &["db"], SLOW);
    service(&scratch, "db", &[], "");
    let init = begin(&scratch, &["web", "db"]);
    fs::rename(scratch.path("scan/web"), scratch.path("removed")).expect("it can be renamed");
    // Whether svscan has seen that already or not.
    assert_eq!(init.stop(), 0);
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
}

#[test]
fn a_job_that_is_done_stands_between_the_two_that_it_connects_and_holds_nobody_up() {
    let scratch = Scratch::new();
    service(&scratch, "web", &["job"], SLOW);
    scratch.service("scan/job", "echo >>started; exit 0");
    scratch.write("scan/job/final-exits", "0");
    scratch.write("scan/job/dependencies.d/db", "");
    service(&scratch, "db", &[], SLOW);
    let is_done = || scratch.run("svstat", &["scan/job"]).out().ends_with(", done\n");
    let init = begin(&scratch, &["web", "db", "job"]);
    wait_until("the job is done", is_done);
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
    // Its supervise does not answer.
    let init = Init::told(&scratch, &["--grace", "3"]);
    ["web", "db", "job"].into_iter().for_each(|name| init.wait_lines(&format!("scan/{name}/started"), 2));
    wait_until("the job is done", is_done);
    signal(supervise(&scratch, &init, "job"), "STOP");
    assert_eq!(init.stop(), 0);
    assert_in_turn(&lines(&scratch, "order")[4..], &["web told", "web ended", "db told", "db ended"]);
    let late = "svscan: warning: the stop took too long, and what was left was killed: job\n";
    assert_eq!(scratch.text("svscan.err"), late);
}

#[test]
fn a_name_for_several_stands_between_those_that_need_it_and_these() {
    let scratch = Scratch::new();
    service(&scratch, "web", &["all"], SLOW);
    for name in ["cache", "db"] {
        scratch.write(format!("scan/all/dependencies.d/{name}"), "");
        service(&scratch, name, &[], "");
    }
    let order = stop(&scratch, &["web", "cache", "db"]);
    for name in ["cache", "db"] {
        assert_in_turn(&order, &["web told", "web ended", &format!("{name} told")]);
    }
}

#[test]
fn what_cannot_be_read_is_said_and_holds_nothing_up() {
    let scratch = Scratch::new();
    service(&scratch, "web", &[], "");
    service(&scratch, "db", &[], "");
    let init = begin(&scratch, &["web", "db"]);
    // What is of importance at the start has come too late for that.
    scratch.write("scan/web/dependencies.d", "db\n");
    symlink("/proc/self/fdinfo", scratch.path("scan/web/wants.d")).expect("a link");
    for number in 0..1001 {
        scratch.write(format!("scan/db/wants.d/{number}"), "");
    }
    assert_eq!(init.stop(), 0);
    let said = |file: &str, why: &str| format!("svscan: warning: unable to read {file}, going on without: {why}");
    let expected = [
        said("db/wants.d", "more than 1000 names"),
        said("web/dependencies.d", "not a directory"),
        said("web/wants.d", "cross-device link"),
    ];
    let mut found = lines(&scratch, "svscan.err");
    found.retain(|line| line.starts_with("svscan: "));
    found.sort();
    assert_eq!(found, expected);
    assert_eq!(lines(&scratch, "order").len(), 4);
}

#[test]
fn a_service_in_another_file_system_of_this_machine_has_its_turn() {
    use std::os::unix::fs::MetadataExt;
    let scratch = Scratch::new();
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let shm = Path::new("/dev/shm");
    if device(shm).is_none() || device(shm) == device(scratch.root()) {
        return skip("/dev/shm is no file system of its own");
    }
    let far = Scratch::below(shm);
    service(&scratch, "web", &[], SLOW);
    // Nothing may be executable in memory.
    fs::rename(scratch.path("scan/web/run"), scratch.path("run")).expect("it can be renamed");
    fs::remove_dir(scratch.path("scan/web")).expect("it is empty");
    symlink(scratch.path("run"), far.mkdir("web").join("run")).expect("a link");
    far.write("web/dependencies.d/app", "");
    symlink(far.path("web"), scratch.path("scan/web")).expect("a link");
    service(&scratch, "app", &[], SLOW);
    far.write("needs/db", "");
    symlink(far.path("needs"), scratch.path("scan/app/dependencies.d")).expect("a link");
    service(&scratch, "db", &[], "");
    let names = ["web", "app", "db"];
    let init = Init::told(&scratch, &["--grace", FOREVER]);
    names.into_iter().for_each(|name| init.wait_lines(&format!("scan/{name}/started"), 1));
    assert_eq!((init.stop(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!(lines(&scratch, "order"), names.map(|name| [format!("{name} told"), format!("{name} ended")]).concat());
}

#[test]
fn a_second_term_waits_for_no_turn() {
    let scratch = Scratch::new();
    service(&scratch, "web", &["db"], "sleep 100;");
    service(&scratch, "db", &[], "sleep 100;");
    let mut init = begin(&scratch, &["web", "db"]);
    init.signal("TERM");
    wait_until("it is told", || scratch.path("order").exists() && lines(&scratch, "order") == ["web told"]);
    init.signal("TERM");
    assert_eq!(init.end(), 0);
    assert!(!lines(&scratch, "order").iter().any(|line| line.ends_with("ended")));
}

#[test]
fn an_ordinary_user_stops_in_order_with_the_files_of_supervise_elsewhere() {
    let scratch = Scratch::new();
    service(&scratch, "web", &["db"], SLOW);
    service(&scratch, "db", &[], "");
    for program in ["svscan", "supervise"] {
        scratch.lend(program);
    }
    scratch.write("order", "");
    ["order", "scan/web", "scan/db"].into_iter().for_each(|name| drop(scratch.give(name)));
    scratch.mkdir_given("state");
    let said = File::create(scratch.path("svscan.err")).expect("a file");
    let mut command = scratch.ordinary("svscan", &["--init", "--state", "state", "--grace", FOREVER, "scan"]);
    let mut svscan = start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said));
    for name in ["web", "db"] {
        wait_until("it runs", || scratch.path(format!("scan/{name}/started")).exists());
    }
    svscan.signal("TERM");
    assert_eq!((svscan.end(), scratch.text("svscan.err").as_str()), (0, ""));
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
}

/// svscanboot with two services of which one needs the other.
fn svscanboot(scratch: &Scratch) -> Running {
    service(scratch, "web", &["db"], SLOW);
    service(scratch, "db", &[], "");
    let boot = start(scratch.command("svscanboot", &["scan"]).stdin(Stdio::null()));
    for name in ["web", "db"] {
        wait_until("it runs", || scratch.path(format!("scan/{name}/started")).exists());
    }
    boot
}

#[test]
fn svscanboot_stops_in_order() {
    let scratch = Scratch::new();
    let mut boot = svscanboot(&scratch);
    boot.signal("TERM");
    assert_eq!(boot.end(), 0);
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
    wait_until("nothing is left behind", || scratch.processes().is_empty());
}

#[test]
fn uphold_boot_stop_waits_for_the_last_one() {
    let scratch = Scratch::new();
    let mut boot = svscanboot(&scratch);
    let stopped = finish(scratch.command("uphold", &["boot", "stop", "--scan-dir"]).arg(scratch.path("scan")));
    assert_eq!((stopped.code, stopped.err().as_str()), (0, ""));
    assert_eq!(lines(&scratch, "order"), ["web told", "web ended", "db told", "db ended"]);
    assert_eq!(boot.end(), 0);
    wait_until("nothing is left behind", || scratch.processes().is_empty());
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory");
    for entry in fs::read_dir(from).expect("it is there").flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else if from.is_file() {
            fs::copy(&from, &to).expect("a copy");
            testkit::make_executable(&to);
        }
    }
}

#[test]
fn the_services_of_the_example_find_what_they_need_to_the_end() {
    let scratch = Scratch::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/order/service"), &scratch.path("scan"));
    let init = Init::start(&scratch, &["--prefix", "--grace", FOREVER]);
    for line in ["db | ready", "web1 | serves", "web2 | serves"] {
        wait_until(line, || lines(&scratch, "svscan.out").iter().any(|found| found == line));
    }
    wait_until("the proxy serves", || scratch.text("svscan.out").contains("proxy | serves by"));
    assert_eq!(init.stop(), 0);
    let said = lines(&scratch, "svscan.out");
    for line in [
        "proxy | ends with the servers web1 web2",
        "web1 | has saved its sessions",
        "web2 | has saved its sessions",
        "db | ends with 2 sessions",
    ] {
        assert!(said.iter().any(|found| found == line), "{line}: {said:?}");
    }
}
