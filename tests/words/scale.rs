//! `uphold scale`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use testkit::{Finished, finish, for_each, is_root, needs_program, record, start, wait_for, wait_until};

use super::world::{World, users};

/// It tells which instance it is, says so much that a lost line shows, and says when it is told to end.
const TELLER: &str = "n=${PWD##*@}
trap 'kill $!; echo end $n; exit 0' TERM
i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $n $i; done
echo >&3
while :; do sleep 100000 & wait $!; done";
const LIVES: &str = "exec sleep 100000";

/// A world with a template `sv/web@` and a svscan.
fn world(ordinary: bool, run: &str, files: &[(&str, &str)]) -> World {
    let mut world = World::new(ordinary);
    if ordinary {
        world.scratch.lend("multilog");
    }
    template(&world, "sv/web@", run, files);
    world.serve();
    wait_until("svscan serves", || world.uphold(&["status"]).err().is_empty());
    world
}

fn template(world: &World, dir: &str, run: &str, files: &[(&str, &str)]) {
    world.scratch.script(format!("{dir}/run"), run);
    for (file, contents) in files {
        match contents.strip_prefix("#!") {
            Some(body) => drop(world.scratch.script(format!("{dir}/{file}"), body)),
            None => drop(world.scratch.write(format!("{dir}/{file}"), contents)),
        }
    }
}

/// The lines of stdout, sorted, without how long it took.
fn out(finished: &Finished) -> Vec<String> {
    let line = |line: &str| line.split(" after ").next().unwrap_or_default().to_owned();
    let mut lines: Vec<String> = finished.out().lines().map(line).collect();
    lines.sort();
    lines
}

#[track_caller]
fn expect(finished: &Finished, code: i32, lines: &[&str], err: &str) {
    assert_eq!(
        (finished.code, out(finished), finished.err().as_str()),
        (code, lines.iter().map(|&line| line.to_owned()).collect(), err)
    );
}

fn pid(world: &World, name: &str) -> Option<u32> {
    Some(record(world.scratch.path(format!("scan/{name}")))?.pid()?.get()).filter(|&pid| testkit::lives(pid))
}

/// The names in a directory, sorted.
fn names(world: &World, dir: &str) -> Vec<String> {
    let entries = fs::read_dir(world.scratch.path(dir)).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn leads(world: &World, path: &str) -> Option<String> {
    Some(fs::read_link(world.scratch.path(path)).ok()?.to_string_lossy().into_owned())
}

/// What an instance has said in one life.
fn life(number: u16, ended: bool) -> String {
    let lines: String = (1..=200).map(|line| format!("{number} {line}\n")).collect();
    if ended { lines + &format!("end {number}\n") } else { lines }
}

#[test]
fn instances_come_and_go_each_with_a_log_of_its_own_and_the_others_run_on() {
    for_each(users(), |&ordinary| {
        let files = &[("notification-fd", "3"), ("log/run", "#!\nexec multilog ./main"), ("log/main/lock", "")];
        let world = world(ordinary, TELLER, files);
        world.scratch.give("sv/web@/log/main");
        let scale = |words: &[&str]| world.uphold(&[&["scale"], words].concat());
        let log = |number: u16| world.scratch.text(format!("scan/.web@/web@{number}/log/main/current"));
        let logged = |number: u16, lines: &str| wait_until("the log has it", || log(number) == lines);
        expect(&scale(&["web", "2", "--template", "sv/web@"]), 0, &["web@1: ready", "web@2: ready"], "");
        let first = ["web@1", "web@2"].map(|name| pid(&world, name));
        let four = ["web@3: ready", "web@4: ready", "web@5: ready", "web@6: ready"];
        expect(&scale(&["web", "6"]), 0, &four, "");
        assert_eq!(fs::read_link(world.scratch.path("scan/web@6")).expect("a link"), Path::new(".web@/web@6"));
        assert_eq!(leads(&world, "scan/web@6/run").as_deref(), Some("../template/run"));
        assert_eq!(leads(&world, "scan/web@6/log/run").as_deref(), Some("../../template/log/run"));
        for number in 1..=6 {
            logged(number, &life(number, false));
        }
        let owner = |dir: &str| fs::metadata(world.scratch.path(dir)).expect("it is there").uid();
        assert_eq!(owner("scan/web@6/log/main"), owner("sv/web@/log/main"));
        expect(&scale(&["web", "3"]), 0, &["web@4: gone", "web@5: gone", "web@6: gone"], "");
        assert_eq!(["web@1", "web@2"].map(|name| pid(&world, name)), first);
        assert_eq!(names(&world, "scan"), [".web@", "web@1", "web@2", "web@3"]);
        for number in 4..=6 {
            // The lines that were said last are there too, and nothing else is left.
            assert_eq!(log(number), life(number, true));
            assert_eq!(names(&world, &format!("scan/.web@/web@{number}")), ["log"]);
            assert_eq!(names(&world, &format!("scan/.web@/web@{number}/log")), ["main"]);
        }
        expect(&scale(&["web", "4"]), 0, &["web@4: ready"], "");
        logged(4, &(life(4, true) + &life(4, false)));
        expect(&scale(&["web"]), 0, &[], "");
        expect(&scale(&["web", "0"]), 0, &["web@1: gone", "web@2: gone", "web@3: gone", "web@4: gone"], "");
        assert_eq!(names(&world, "scan"), [".web@"]);
        assert_eq!(names(&world, "scan/.web@"), ["web@1", "web@2", "web@3", "web@4", "web@5", "web@6"]);
        expect(&scale(&["web", "0"]), 0, &[], "");
        // The logs that are there still would get a logger that nothing starts.
        fs::remove_dir_all(world.scratch.path("sv/web@/log")).expect("it is there");
        let lost = scale(&["web", "1", "--template", "sv/web@"]);
        assert_eq!((lost.code, names(&world, "scan")), (1, vec![".web@".to_owned()]));
        assert!(lost.err().contains("web@: it has no log, but web@1 was made with one: "), "{lost:?}");
    });
}

#[test]
fn an_update_takes_up_what_the_template_has_and_nothing_else() {
    for_each(users(), |&ordinary| {
        let world = world(ordinary, LIVES, &[("data", "one"), ("timeout-kill", "5")]);
        let scale = |words: &[&str]| world.uphold(&[&["scale"], words].concat());
        expect(&scale(&["--template", "sv/web@", "web", "2"]), 0, &["web@1: up", "web@2: up"], "");
        expect(&world.uphold(&["stop", "web@2"]), 0, &["web@2: down"], "");
        let first = pid(&world, "web@1");
        world.scratch.write("sv/web@/env/A", "1");
        fs::remove_file(world.scratch.path("sv/web@/data")).expect("it is there");
        // These belong to an instance.
        let dir = world.scratch.path("scan/.web@/web@1");
        fs::write(dir.join("note"), "mine").expect("writes");
        fs::remove_file(dir.join("timeout-kill")).expect("it is there");
        fs::write(dir.join("timeout-kill"), "7").expect("writes");
        symlink("../template/elsewhere", dir.join("own")).expect("a link");
        expect(&scale(&["web"]), 0, &[], "");
        let all = ["env", "note", "own", "run", "supervise", "timeout-kill"];
        assert_eq!(names(&world, "scan/web@1"), all);
        assert_eq!(world.scratch.text("scan/web@1/timeout-kill"), "7");
        assert_eq!(world.scratch.text("scan/web@2/env/A"), "1");
        // Nobody is restarted, and whoever was stopped stays so.
        assert_eq!((pid(&world, "web@1"), pid(&world, "web@2")), (first, None));
        // Another template is that of all instances at once.
        template(&world, "sv/other", LIVES, &[("more", "else")]);
        expect(&scale(&["web", "--template", "sv/other"]), 0, &[], "");
        assert_eq!(world.scratch.text("scan/web@2/more"), "else");
        assert_eq!(names(&world, "scan/web@2"), ["more", "run", "supervise"]);
        // Without a directory by that name there is nothing to take the instances from, but they can go.
        fs::rename(world.scratch.path("sv/other"), world.scratch.path("sv/moved")).expect("moves");
        assert_eq!(scale(&["web", "3"]).code, 1);
        expect(&scale(&["web", "0"]), 0, &["web@1: gone", "web@2: gone"], "");
        assert_eq!(names(&world, "scan/.web@"), ["web@1"]);
        assert_eq!(names(&world, "scan/.web@/web@1"), ["note", "own", "timeout-kill"]);
    });
}

#[test]
fn what_cannot_be_is_said_and_changes_nothing() {
    let world = world(!is_root(), LIVES, &[]);
    let scale = |words: &[&str]| world.uphold(&[&["scale"], words].concat());
    let usage = "uphold scale: usage: uphold [-C DIR] scale [--template DIR] [--no-wait] [--timeout TIME] NAME [N]\n";
    expect(&scale(&[]), 100, &[], usage);
    expect(&scale(&["web", "1", "2"]), 100, &[], usage);
    for name in ["", "a/b", "..", ".a", "a\nb", "a\x1b[2J", "web@", "web@3"] {
        let refused = scale(&[name, "1", "--template", "sv/web@"]);
        assert_eq!((refused.code, refused.out().as_str()), (100, ""), "{name}");
        assert!(refused.err().starts_with("uphold scale: fatal: wrong name "), "{name}: {}", refused.err());
    }
    for number in ["-1", "1001", "99999999999999999999", "x", "01", ""] {
        assert_eq!(scale(&["web", "--", number]).code, 100, "{number}");
    }
    let none = "uphold scale: web has no instances: uphold scale web N makes N of them\n";
    expect(&scale(&["web"]), 1, &[], none);
    let no_template = "uphold scale: there is no template /etc/sv/no such@: name one with --template DIR\n";
    expect(&scale(&["no such", "1"]), 1, &[], no_template);
    world.scratch.write("sv/empty/note", "");
    let here = world.scratch.root().to_str().expect("a path");
    let said = |dir: &str, why: &str| format!("uphold scale: {here}/sv/{dir}: {why}\n");
    expect(&scale(&["web", "1", "--template", "sv/empty"]), 1, &[], &said("empty", "it has no run"));
    assert_eq!(scale(&["web", "1", "--template", "sv/web@/run"]).code, 111);
    for (listener, fits) in [
        ("tcp 127.0.0.1:1", false),
        ("udp *:1", false),
        ("unix /nonexistent/s", false),
        ("unix s", true),
        ("tcp 127.0.0.1:0", true),
        ("tcp 127.0.0.1:1 reuseport", true),
    ] {
        template(&world, "sv/socket", LIVES, &[("sockets/s", listener), ("down", "")]);
        let two = scale(&["socket", "2", "--template", "sv/socket", "--no-wait"]);
        assert_eq!(two.code, i32::from(!fits), "{listener}: {two:?}");
        assert_eq!(world.scratch.path("scan/socket@2").exists(), fits, "{listener}");
        assert_eq!(scale(&["socket", "0"]).code, 0);
    }
    // A service that was there before is nobody's instance.
    world.service("web@2", LIVES, &[]);
    let taken = scale(&["web", "3", "--template", "sv/web@"]);
    expect(&taken, 1, &["web@1: up", "web@3: up"], "uphold scale: web@2: another service has this name\n");
    let other = wait_for("it is up", || pid(&world, "web@2"));
    expect(&scale(&["web", "0"]), 0, &["web@1: gone", "web@3: gone"], "");
    assert_eq!((names(&world, "scan"), pid(&world, "web@2")), (vec!["web@2".to_owned()], Some(other)));
    // A template beside the services is not one of them.
    template(&world, "scan/in@", LIVES, &[]);
    expect(&scale(&["in", "1", "--template", "scan/in@"]), 0, &["in@1: up"], "");
    assert!(!world.scratch.path("scan/in@/supervise").exists());
    if !is_root() {
        return;
    }
    world.scratch.lend("uphold");
    world.scratch.mkdir("private");
    let words = ["-C", "private", "scale", "web", "1", "--template", "sv/web@"];
    let stranger = finish(&mut world.scratch.ordinary("uphold", &words));
    expect(&stranger, 111, &[], "uphold scale: fatal: unable to make private/.web@: access denied\n");
}

#[test]
fn two_at_once_follow_each_other_and_a_dead_one_lets_go() {
    let world = world(!is_root(), LIVES, &[]);
    let words = ["-C", "scan", "scale", "web", "3", "--template", "sv/web@"];
    let spawn = || {
        let mut command = world.command("uphold", &words);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command.spawn().expect("starts")
    };
    let all: Vec<_> = (0..3).map(|_| spawn()).collect();
    for one in all {
        let one = one.wait_with_output().expect("ends");
        assert_eq!(one.status.code(), Some(0), "{one:?}");
    }
    assert_eq!(names(&world, "scan"), [".web@", "web@1", "web@2", "web@3"]);
    let home = fs::File::open(world.scratch.path("scan/.web@")).expect("opens");
    home.lock().expect("locks");
    let err = fs::File::create(world.scratch.path("err")).expect("a file");
    let mut command = world.command("uphold", &["-C", "scan", "scale", "web", "1"]);
    let mut waits = start(command.stderr(err).stdout(std::process::Stdio::null()));
    wait_until("it waits", || world.scratch.text("err") == "uphold scale: waiting for another uphold scale of web\n");
    assert_eq!(names(&world, "scan").len(), 4);
    drop(home);
    assert_eq!(waits.end(), 0);
    assert_eq!(names(&world, "scan"), [".web@", "web@1"]);
    // Strangers could hold the lock for ever.
    let mode = fs::metadata(world.scratch.path("scan/.web@")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o711);
}

#[test]
fn what_lost_its_link_is_ended_even_if_its_supervise_was_killed() {
    let run = "[ -e ../template/stay ] && trap '' TERM; echo >&3; while :; do sleep 100000; done";
    let world = world(!is_root(), run, &[("notification-fd", "3"), ("timeout-kill", "0"), ("stay", "")]);
    let scale = |words: &[&str]| world.uphold(&[&["scale", "web"], words].concat());
    let unlink = || fs::remove_file(world.scratch.path("scan/web@1")).expect("it is there");
    expect(&scale(&["1", "--template", "sv/web@"]), 0, &["web@1: ready"], "");
    let service = pid(&world, "web@1").expect("it is up");
    unlink();
    let not = "uphold scale: web@1: it was taken away before, and has not ended yet\n";
    expect(&scale(&["0", "--timeout", "100ms"]), 1, &[], not);
    expect(&scale(&["1", "--timeout", "100ms"]), 1, &[], not);
    testkit::signal(service, "KILL");
    fs::remove_file(world.scratch.path("sv/web@/stay")).expect("it is there");
    expect(&scale(&["0"]), 0, &[], "");
    assert_eq!(names(&world, "scan"), [""; 0]);
    // A new supervise takes the service over, and ends it.
    for (count, told) in [("1", &["web@1: gone", "web@1: ready"][..]), ("0", &["web@1: gone"])] {
        assert_eq!(scale(&["1", "--template", "sv/web@"]).code, 0);
        let service = pid(&world, "web@1").expect("it is up");
        let supervise = record(world.scratch.path("scan/.web@/web@1")).expect("a record").observed.supervise.pid;
        unlink();
        // svscan is to have seen that it is gone.
        let last = format!("last{count}");
        world.service(&last, LIVES, &[]);
        wait_for("it is up", || pid(&world, &last));
        testkit::signal(supervise, "KILL");
        wait_until("it is gone", || !testkit::lives(supervise));
        assert!(testkit::lives(service));
        expect(&scale(&[count]), 0, told, "");
        assert!(!testkit::lives(service));
    }
    assert_eq!(names(&world, "scan"), ["last0", "last1"]);
}

/// Whether strace can be had, which kills at a system call.
fn strace() -> Option<std::path::PathBuf> {
    let strace = needs_program("strace")?;
    (finish(Command::new(&strace).args(["-qq", "-o", "/dev/null", "true"])).code == 0).then_some(strace)
}

/// Types the words with this done to one of these calls.
fn tampered(world: &World, strace: &Path, calls: &str, what: &str, words: &[&str]) -> Finished {
    let mut command = Command::new(strace);
    command.args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"]);
    command.arg(format!("inject={calls}:{what}")).arg(world.command("uphold", &[]).get_program());
    command.args(["-C", "scan", "scale", "web"]).args(words).current_dir(world.scratch.root());
    finish(&mut command)
}

/// The calls by which directories and services are changed, each with its names on different systems.
const CHANGES: [&str; 8] = [
    "?mkdir,?mkdirat",
    "?symlink,?symlinkat",
    "?rename,?renameat,?renameat2",
    "?unlink,?unlinkat",
    "?rmdir",
    "?chmod,?fchmod,?fchmodat,?fchmodat2",
    "?lchown,?fchown,?fchownat",
    "write",
];

#[test]
fn whoever_is_killed_leaves_nothing_that_the_next_does_not_mend() {
    let Some(strace) = strace() else { return };
    // From so many instances to so many, killed in between, and then to so many.
    let cases = [("1", "0", "0"), ("1", "0", "1"), ("0", "1", "1"), ("0", "1", "0")];
    let killed = AtomicUsize::new(0);
    for_each(&cases, |&(from, to, then)| {
        let world = world(!is_root(), LIVES, &[("log/run", "#!\nexec cat >/dev/null")]);
        let template = ["--template", "sv/web@"];
        let scale = |count: &str| world.uphold(&[&["scale", "web", count][..], &template].concat());
        let mut is = "0";
        for calls in CHANGES {
            for when in 1.. {
                if is != from {
                    let before = scale(from);
                    assert_eq!(before.code, 0, "{before:?}");
                }
                let kill = format!("signal=KILL:when={when}");
                let tampered = tampered(&world, &strace, calls, &kill, &[&[to][..], &template].concat());
                if tampered.code == 0 {
                    is = to;
                    break;
                }
                killed.fetch_add(1, Ordering::Relaxed);
                let mended = scale(then);
                assert_eq!(mended.code, 0, "{calls} {when}: {mended:?} after {tampered:?}");
                assert_whole(&world, then, &format!("{calls} {when}"));
                is = then;
            }
        }
    });
    assert!(killed.into_inner() > 40);
}

/// There is no instance, or one, and nothing else.
#[track_caller]
fn assert_whole(world: &World, count: &str, why: &str) {
    if count == "0" {
        assert_eq!(names(world, "scan"), [""; 0], "{why}");
    } else {
        assert_eq!(names(world, "scan"), [".web@", "web@1"], "{why}");
        assert_eq!(names(world, "scan/.web@"), ["template", "web@1"], "{why}");
        assert_eq!(names(world, "scan/web@1"), ["log", "run", "supervise"], "{why}");
        assert!(pid(world, "web@1").is_some(), "{why}");
    }
}

#[test]
fn what_was_up_before_anybody_looked_is_not_waited_for() {
    let Some(strace) = strace() else { return };
    let world = world(!is_root(), LIVES, &[]);
    // It asks to be told of a supervise, and in that moment svscan starts one, which starts the service.
    let late = "delay_enter=1000000:when=1";
    let words = ["1", "--template", "sv/web@", "--timeout", "1h"];
    expect(&tampered(&world, &strace, "inotify_add_watch", late, &words), 0, &["web@1: up"], "");
}

#[test]
fn a_full_disk_is_said_and_the_next_call_goes_on() {
    let Some(strace) = strace() else { return };
    let world = world(!is_root(), LIVES, &[]);
    let full = tampered(&world, &strace, "?symlink,?symlinkat", "error=ENOSPC:when=4", &["2", "--template", "sv/web@"]);
    assert_eq!((full.code, full.out().as_str()), (111, ""));
    assert!(full.err().ends_with(": out of disk space\n"), "{full:?}");
    assert_eq!(names(&world, "scan"), [".web@", "web@1"]);
    let again = world.uphold(&["scale", "web", "2", "--template", "sv/web@"]);
    assert_eq!((again.code, again.err().as_str()), (0, ""), "{again:?}");
    assert!(pid(&world, "web@1").is_some() && pid(&world, "web@2").is_some());
}
