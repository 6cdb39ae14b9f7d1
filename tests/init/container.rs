//! What a container gives: an ordinary user, a root that cannot be written, one directory that can, no `/proc`, and of `/dev` only null.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use testkit::{
    Jail, Scratch, children, holds_for, lives, needs_program, needs_root, signal, start, wait_for, wait_until,
};

use super::world::{MORTAL, catches_term, child, lines};

/// A scan directory that its user cannot write, and a directory `state` that is the user's.
fn locked() -> Scratch {
    let scratch = Scratch::new();
    scratch.service(
        "scan/a",
        "trap 'echo down; exit 3' TERM; echo up; while :; do sleep 100000 >/dev/null & wait $!; done",
    );
    scratch.service("scan/a/log", "exec cat >>../../../state/lines");
    scratch.service("scan/b", MORTAL);
    scratch.mkdir_given("state");
    for name in ["scan", "scan/a", "scan/a/log", "scan/b"] {
        fs::set_permissions(scratch.path(name), fs::Permissions::from_mode(0o555)).expect("ours");
    }
    // It is used as an operand below.
    scratch.lend("svc");
    scratch
}

fn unlock(scratch: &Scratch) {
    for name in ["scan", "scan/a", "scan/a/log", "scan/b"] {
        fs::set_permissions(scratch.path(name), fs::Permissions::from_mode(0o755)).expect("ours");
    }
}

#[test]
fn with_a_state_directory_service_directories_need_not_be_written() {
    let scratch = locked();
    for program in ["svscan", "supervise", "svstat", "svok", "svc"] {
        scratch.lend(program);
    }
    let file = |name: &str| fs::File::options().create(true).append(true).open(scratch.path(name)).expect("a file");
    let mut command =
        scratch.ordinary("svscan", &["--state", "state", "--exit-with", "a", "--grace", "100000", "scan"]);
    command.stdin(Stdio::null()).stdout(file("svscan.out")).stderr(file("svscan.err"));
    let mut svscan = start(&mut command);
    let state = scratch.path("state");
    let client =
        |program: &str, words: &[&str]| testkit::finish(scratch.ordinary(program, words).env("SUPERVISEDIR", &state));
    for service in ["scan/a", "scan/a/log", "scan/b"] {
        wait_until(&format!("{service} is up"), || client("svstat", &[service]).out().contains(": up "));
        assert_eq!(client("svok", &[service]).code, 0);
    }
    wait_until("it is logged", || scratch.text("state/lines") == "up\n");
    let down = client("svc", &["-d", "--wait=down", "scan/b"]);
    assert_eq!((down.code, down.err().as_str()), (0, ""));
    assert!(client("svstat", &["scan/b"]).out().contains(": down "));
    // Without the variable nobody is seen, and nothing was written there.
    assert_eq!(testkit::finish(&mut scratch.ordinary("svok", &["scan/a"])).code, 100);
    assert!(!scratch.path("scan/a/supervise").exists() && !scratch.path("scan/a/log/supervise").exists());
    assert!(state_of(&scratch, "scan/a/log").join("status").exists(), "named as by daemontools-encore");
    svscan.signal("TERM");
    assert_eq!((svscan.end(), scratch.text("svscan.err").as_str()), (3, ""));
    assert_eq!(scratch.text("state/lines"), "up\ndown\n");
    unlock(&scratch);
}

/// The directory below `state` of the service directory `name`: its path without the first slash, and with colons for the others.
fn state_of(scratch: &Scratch, name: &str) -> std::path::PathBuf {
    let path = fs::canonicalize(scratch.path(name)).expect("it exists").to_string_lossy().replace('/', ":");
    scratch.path("state").join(path.trim_start_matches(':'))
}

#[test]
fn a_state_that_was_left_under_the_old_name_is_still_found() {
    let scratch = Scratch::new();
    scratch.service("scan/a", MORTAL);
    let state = scratch.mkdir("state");
    let new = state_of(&scratch, "scan/a");
    let old = state.join(format!(":{}", new.file_name().expect("a name").to_string_lossy()));
    // Where a version before had it: while its supervise runs, and when that was killed.
    fs::create_dir(&old).expect("a directory");
    let client =
        |program: &str, words: &[&str]| testkit::finish(scratch.command(program, words).env("SUPERVISEDIR", &state));
    let start = || {
        let mut command = scratch.command("supervise", &["scan/a"]);
        start(command.stdin(Stdio::null()).env("SUPERVISEDIR", &state))
    };
    let mut first = start();
    let svstat = || client("svstat", &["scan/a"]).out();
    let pid = || svstat().split("(pid ").nth(1).and_then(|rest| rest.split(')').next()).map(str::to_owned);
    wait_until("it is up", || pid().is_some());
    assert!(old.join("status").exists() && !new.exists());
    let service = pid();
    first.signal("KILL");
    first.end();
    let _second = start();
    wait_until("it is supervised", || client("svok", &["scan/a"]).code == 0);
    wait_until("it is taken over", || pid() == service);
    assert!(!new.exists());
    let left = client("svc", &["-dx", "--wait=down", "scan/a"]);
    assert_eq!((left.code, left.err().as_str()), (0, ""));
    // When that is taken away, the next one has the name of daemontools-encore; one that nobody uses beside it does not count.
    wait_until("supervise has left", || client("svok", &["scan/a"]).code == 100);
    fs::remove_dir_all(&old).expect("ours");
    let _third = start();
    wait_until("it is up", || pid().is_some());
    fs::create_dir(&old).expect("a directory");
    assert!(new.join("status").exists() && svstat().contains(": up "), "{}", svstat());
    client("svc", &["-dx", "--wait=down", "scan/a"]);
}

#[test]
fn two_services_whose_paths_differ_by_a_colon_are_told_apart_or_said() {
    let scratch = Scratch::new();
    scratch.service("scan/web", MORTAL);
    scratch.service("scan/web/log", "exec cat >/dev/null");
    scratch.service("elsewhere/web:log", MORTAL);
    let state = scratch.mkdir("state");
    let client =
        |program: &str, words: &[&str]| testkit::finish(scratch.command(program, words).env("SUPERVISEDIR", &state));
    let mut svscan = scratch.start("svscan", "svscan", &["--init", "--state", "state", "scan"]);
    wait_until("the logger is up", || client("svstat", &["scan/web/log"]).out().contains(": up "));
    fs::rename(scratch.path("elsewhere/web:log"), scratch.path("scan/web:log")).expect("ours");
    let log = fs::canonicalize(scratch.path("scan/web/log")).expect("it exists");
    let why = format!("it is that of {}, whose path differs only by a colon; rename one of the two", log.display());
    let ok = state_of(&scratch, "scan/web/log").join("ok");
    let ok = fs::canonicalize(&state).expect("ours").join(ok.strip_prefix(&state).expect("below"));
    let line = format!("svscan: warning: unable to open {}: {why}\n", ok.display());
    wait_until("svscan says so", || scratch.text("svscan.err") == line);
    let told = client("svc", &["-k", "scan/web:log"]);
    assert_eq!(told.err(), format!("svc: warning: unable to control scan/web:log: {why}\n"));
    let told = client("svstat", &["scan/web:log"]);
    assert_eq!(told.out(), format!("scan/web:log: unable to open supervise/ok: {why}\n"));
    assert_eq!(client("svok", &["scan/web:log"]).code, 100);
    let up = || client("svstat", &["scan/web/log"]).out().contains(": up ");
    assert!(up(), "nothing has reached the logger");
    svscan.signal("TERM");
    svscan.end();
    assert_eq!(scratch.text("svscan.err"), line, "once");
}

#[test]
fn a_service_is_taken_over_through_the_state_directory() {
    let scratch = Scratch::new();
    scratch.service("scan/a", MORTAL);
    let state = scratch.mkdir("state");
    let svstat = || testkit::finish(scratch.command("svstat", &["scan/a"]).env("SUPERVISEDIR", &state)).out();
    let pid = || svstat().split("(pid ").nth(1).and_then(|rest| rest.split(')').next()).map(str::to_owned);
    let mut first = scratch.start("svscan", "svscan", &["--state", "state", "scan"]);
    wait_until("it is up", || pid().is_some());
    let service = pid();
    first.signal("KILL");
    assert_eq!(first.end(), 1009);
    let supervise = super::world::lines(&scratch, "scan/a/supervise").len();
    assert_eq!(supervise, 0);
    let mut second = scratch.start("svscan", "svscan", &["--init", "--state", "state", "scan"]);
    // Before that TERM would end it at once.
    wait_until("svscan catches TERM", || catches_term(second.pid()));
    testkit::holds_for(std::time::Duration::from_millis(300), "it is left alone", || pid() == service);
    second.signal("TERM");
    assert_eq!((second.end(), scratch.text("svscan.err").as_str()), (0, ""));
}

/// A svscan of an ordinary user that is to end with a service at once, which it does not come to.
#[track_caller]
fn refuses_state(scratch: &Scratch, state: &str, said: &str) {
    let words = ["--state", state, "--exit-with", "a", "--grace", "100000", "scan"];
    let ran = testkit::finish(&mut scratch.ordinary("svscan", &words));
    let root = scratch.root().display();
    assert_eq!((ran.code, ran.err()), (111, format!("svscan: fatal: {}\n", said.replace("{}", &root.to_string()))));
}

#[test]
fn a_state_directory_that_cannot_be_used_is_said_at_the_start_and_is_the_end() {
    let scratch = Scratch::new();
    scratch.service("scan/a", "exit 0");
    scratch.lend("supervise");
    refuses_state(&scratch, "missing/state", "unable to make {}/missing/state: file does not exist");
    scratch.write("file", "");
    refuses_state(&scratch, "file/state", "unable to make {}/file/state: not a directory");
    let closed = scratch.mkdir_given("closed");
    fs::set_permissions(closed, fs::Permissions::from_mode(0o555)).expect("by owner");
    refuses_state(&scratch, "closed", "unable to write {}/closed: access denied");
    refuses_state(&scratch, "closed/state", "unable to make {}/closed/state: access denied");
}

#[test]
fn a_state_directory_of_somebody_else_is_refused_and_a_new_one_is_no_one_elses_whatever_the_umask() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new();
    scratch.service("scan/a", "exit 0");
    scratch.mkdir_given("state");
    let words = ["--state", "state", "--exit-with", "a", "scan"];
    let ran = scratch.run("svscan", &words);
    let state = scratch.path("state");
    let said = "which belongs to somebody else: permission denied";
    assert_eq!((ran.code, ran.err()), (111, format!("svscan: fatal: unable to use {}, {said}\n", state.display())));
    fs::remove_dir(&state).expect("it is empty");
    for umask in ["000", "077"] {
        let line = format!("umask {umask}; exec \"$0\" --state new{umask} --exit-with a scan");
        let mut shell = Command::new("sh");
        shell.args(["-c", &line]).arg(scratch.suite().path("svscan")).current_dir(scratch.root());
        assert_eq!(testkit::finish(shell.env("PATH", scratch.suite().search_path())).code, 0);
        let mode = fs::metadata(scratch.path(format!("new{umask}"))).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o755);
    }
}

#[test]
fn nothing_is_written_through_a_link_that_somebody_has_put_into_the_state_directory() {
    for (file, line) in [("status.new", "unable to open"), ("lock", "unable to acquire")] {
        let scratch = Scratch::new();
        scratch.service("scan/a", "exit 0");
        scratch.write("precious", "precious");
        let name = fs::canonicalize(scratch.path("scan/a")).expect("it is there");
        let name = name.to_str().expect("UTF-8").replace('/', ":");
        let own = scratch.mkdir(format!("state/{name}"));
        std::os::unix::fs::symlink("../../precious", own.join(file)).expect("a link");
        let _svscan = scratch.start("svscan", "svscan", &["--state", "state", "scan"]);
        wait_until("it is said", || scratch.text("svscan.err").contains(line));
        assert!(scratch.text("svscan.err").contains("symbolic link loop"), "{}", scratch.text("svscan.err"));
        assert_eq!(scratch.text("precious"), "precious");
    }
}

/// A shell script for process 1 of a new namespace, which makes the jail `$1` read-only, all but `state`, and becomes svscan in it as an ordinary user.
const SETUP: &str = r#"set -e
mount --bind "$1" "$1"
: >"$1/dev/null"
mount --bind /dev/null "$1/dev/null"
mount -t tmpfs -o noexec,nosuid,mode=0700,uid=65534,gid=65534 tmpfs "$1/state"
mount -o remount,bind,ro "$1"
exec chroot --userspec=65534:65534 "$1" /bin/uphold svscan --state /state --prefix --exit-with web /service
"#;

#[test]
fn one_file_and_services_are_enough_without_proc_and_dev_on_a_root_that_cannot_be_written() {
    let Some(jail) = Jail::new(&["uphold"]) else {
        return;
    };
    if needs_program("unshare").is_none() {
        return;
    }
    let scratch = jail.scratch();
    // Whoever opens this FIFO of the worker's supervise both ways waits for ever.
    let worker = "trap 'echo worker down; exit 0' TERM
echo worker up; : >/state/up
read line <>/state/service:worker/ok";
    let web = "until [ -e /state/up ]; do :; done
[ -e /proc/self ] && echo there is a proc
(: >/file) 2>/dev/null && echo the root can be written
echo $SUPERVISEDIR; exit 7";
    scratch.service("service/worker", worker);
    scratch.service("service/web", web);
    scratch.mkdir("state");
    scratch.mkdir("dev");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "--kill-child", "sh", "-c", SETUP, "sh"]).arg(scratch.root());
    command.env_remove("UPHOLD_LOG");
    let ran = testkit::finish(&mut command);
    let mut lines: Vec<String> = ran.out().lines().map(Into::into).collect();
    lines.sort();
    assert_eq!(lines, ["web | /state", "worker | worker down", "worker | worker up"]);
    assert_eq!((ran.code, ran.err().as_str()), (7, ""));
}

const CONTAINERFILE: &str = include_str!("../../examples/container/Containerfile");
const PAGE: &str = include_str!("../../docs/containers.md");

/// The words of the first array behind `keyword` in a text.
fn words_behind(keyword: &str, text: &str) -> Vec<String> {
    let words = text.lines().find_map(|line| line.split_once(keyword)?.1.split_once('[')?.1.split_once(']'));
    words.expect("an array").0.split(", ").map(|word| word.trim_matches('"').to_owned()).collect()
}

#[test]
fn the_page_has_the_words_of_the_example() {
    for keyword in ["ENTRYPOINT", "HEALTHCHECK"] {
        assert_eq!(words_behind(keyword, CONTAINERFILE), words_behind(keyword, PAGE));
    }
    let probe = words_behind("exec: { command:", PAGE);
    assert_eq!(probe, words_behind("HEALTHCHECK", PAGE));
}

#[test]
fn the_health_check_tells_whether_web_is_ready() {
    let scratch = Scratch::new();
    scratch.service("scan/web", "read go <ready; echo >&3; exec sleep 100000");
    scratch.write("scan/web/notification-fd", "3");
    sys::fd::make_fifo(&scratch.path("scan/web/ready")).expect("a FIFO");
    let mut svscan = scratch.start("svscan", "svscan", &["--init", "--state", "state", "scan"]);
    let words = words_behind("HEALTHCHECK", CONTAINERFILE);
    let [uphold, svc, options @ .., service] = words.as_slice() else { panic!("{words:?}") };
    assert_eq!((uphold.as_str(), svc.as_str(), service.as_str()), ("/bin/uphold", "svc", "/service/web"));
    let check = |service: &str| {
        let mut command = scratch.command("uphold", &["svc"]);
        command.args(options).arg(service);
        testkit::finish(command.env("SUPERVISEDIR", scratch.path("state")).env("SVDIR", scratch.path("scan")))
    };
    wait_until("it is up", || check("scan/web").err().contains("not ready"));
    for service in ["scan/web", "web"] {
        let told = check(service);
        assert_eq!(told.code, 1);
        let line = format!("svc: warning: unable to wait for {service} to be ready: timed out, it is up (pid ");
        assert!(told.err().starts_with(&line) && told.err().ends_with(") and not ready\n"), "{}", told.err());
    }
    fs::write(scratch.path("scan/web/ready"), "\n").expect("it is read");
    wait_until("it is ready", || check("web").code == 0);
    svscan.signal("TERM");
    assert_eq!((svscan.end(), scratch.text("svscan.err").as_str()), (0, ""));
}

/// The same as [`SETUP`], with `run` to write to and the rest of the words to become.
const EXAMPLE: &str = r#"set -e
root=$1; shift
mount --bind "$root" "$root"
: >"$root/dev/null"
mount --bind /dev/null "$root/dev/null"
mount -t tmpfs -o noexec,nosuid,mode=1777 tmpfs "$root/run"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65534:65534 "$root" "$@"
"#;

#[test]
fn the_example_starts_its_services_and_ends_with_web() {
    let Some(jail) = Jail::new(&["uphold"]) else {
        return;
    };
    if needs_program("unshare").is_none() {
        return;
    }
    let scratch = jail.scratch();
    let examples = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/container/service");
    for service in ["web", "worker"] {
        let run = fs::read(examples.join(service).join("run")).expect("the example");
        scratch.install(format!("service/{service}/run"), &run);
    }
    // In place of busybox: the worker sleeps, and web ends when it has begun to.
    scratch.script("bin/sleep", ": >/run/sleeping; read line <>/run/sv/service:worker/ok");
    scratch.script("bin/httpd", "until [ -e /run/sleeping ]; do :; done; echo $*; exit 4");
    scratch.mkdir("run");
    scratch.mkdir("dev");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount", "--kill-child", "sh", "-c", EXAMPLE, "sh"]).arg(scratch.root());
    command
        .args(words_behind("ENTRYPOINT", CONTAINERFILE))
        .env("PATH", "/bin:/usr/bin:/usr/sbin:/sbin")
        .env_remove("UPHOLD_LOG");
    let ran = testkit::finish(&mut command);
    let mut lines: Vec<String> = ran.out().lines().map(Into::into).collect();
    lines.sort();
    let web = ["web | -f -v -p 8080 -h /www", "web | serving /www on port 8080"];
    assert_eq!(lines, [web[0], web[1], "worker | working"]);
    assert_eq!((ran.code, ran.err().as_str()), (4, ""));
}

#[test]
fn the_service_of_a_killed_supervise_is_not_taken_over_by_one_whose_path_differs_by_a_colon() {
    let scratch = Scratch::new();
    scratch.service("scan/web/log", MORTAL);
    scratch.service("scan/web:log", MORTAL);
    let state = scratch.mkdir("state");
    let client =
        |program: &str, words: &[&str]| testkit::finish(scratch.command(program, words).env("SUPERVISEDIR", &state));
    let supervise = || {
        let mut command = scratch.command("supervise", &["scan/web:log"]);
        start(command.stdin(Stdio::null()).env("SUPERVISEDIR", &state))
    };
    let mut first = supervise();
    let pid = || {
        let line = client("svstat", &["scan/web:log"]).out();
        line.split("(pid ").nth(1).and_then(|rest| rest.split(')').next()).map(str::to_owned)
    };
    wait_until("it is up", || pid().is_some());
    let service = pid().expect("it is up");
    first.signal("KILL");
    first.end();
    let other = client("supervise", &["scan/web/log"]);
    let lock = state_of(&scratch, "scan/web/log").join("lock");
    let why = "whose path differs only by a colon; rename one of the two";
    let said = format!(
        "supervise: fatal: unable to acquire {}: it is that of another service, which runs as pid {service} and {why}\n",
        lock.display()
    );
    assert_eq!((other.code, other.err()), (111, said));
    let _second = supervise();
    wait_until("it is supervised", || client("svok", &["scan/web:log"]).code == 0);
    assert_eq!(pid(), Some(service.clone()));
    // When its service is gone, the place is free.
    let left = client("svc", &["-dx", "--wait=down", "scan/web:log"]);
    assert_eq!((left.code, left.err().as_str()), (0, ""));
}

/// Process 1 of a container whose `/proc` has nothing but processes: svscan, or a shell that starts a supervise again and again, and does not say how it
/// has ended.
const NARROW: [&str; 2] =
    ["exec svscan scan", "exec 3>&2 2>/dev/null; while :; do (exec supervise scan/web 2>&3 3>&-); done"];

#[test]
fn a_killed_supervise_comes_back_to_its_service_where_proc_has_nothing_but_processes() {
    let Some(unshare) = needs_program("unshare").filter(|_| needs_root()) else { return };
    let narrow = "mount -t proc -o subset=pid proc /proc && [ ! -e /proc/sys ]";
    let contained = |script: &str| {
        let mut command = Command::new(&unshare);
        command.args([
            "--pid",
            "--fork",
            "--mount",
            "--kill-child",
            "sh",
            "-c",
            &format!("{narrow} || exit; {script}"),
        ]);
        command
    };
    if testkit::finish(&mut contained("exit 0")).code != 0 {
        return testkit::skip("proc cannot be mounted with nothing but processes");
    }
    for process_1 in NARROW {
        let scratch = Scratch::new();
        scratch.service("scan/web", "echo >>started; exec sleep 100000");
        let mut command = contained(process_1);
        command.current_dir(scratch.root()).env("PATH", scratch.suite().search_path()).stdin(Stdio::null());
        let said = fs::File::create(scratch.path("said")).expect("a file");
        let container = start(command.stderr(said));
        let is_supervise =
            |pid: &u32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "supervise\n");
        let supervise = || children(child(container.pid())?).into_iter().find(is_supervise);
        let is_up = || scratch.run("svstat", &["scan/web"]).out().contains(": up ");
        wait_until("it is up", || is_up() && lines(&scratch, "scan/web/started").len() == 1);
        let first = wait_for("its supervise", supervise);
        let service = child(first).expect("it is up");
        signal(first, "KILL");
        wait_until("another supervise runs", || supervise().is_some_and(|pid| pid != first) && is_up());
        // Longer than from one start to the next.
        holds_for(Duration::from_millis(1500), "it is the same", || {
            lives(service) && lines(&scratch, "scan/web/started").len() == 1
        });
        assert_eq!((supervise().and_then(child), scratch.text("said").as_str()), (None, ""), "{process_1}");
        assert_eq!(scratch.run("svc", &["-k", "scan/web"]).code, 0);
        wait_until("it is started again", || lines(&scratch, "scan/web/started").len() == 2);
    }
}
