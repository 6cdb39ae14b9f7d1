//! `uphold status --json`, `--json --follow` and `--metrics`: what programs are told.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use tai::Label;
use testkit::json::{self, Value};
use testkit::{PATIENCE, Running, finish, for_each, holds_for, is_root, needs_inotify, signal, wait_for, wait_until};

use super::world::{World, users};

const LIVES: &str = "exec sleep 100000";

/// What `uphold status --json` tells.
fn told(world: &World, words: &[&str]) -> Vec<Value> {
    let said = world.uphold(&[&["status", "--json"], words].concat());
    assert_eq!(said.code, 0, "{said:?}");
    json::read(&said.out()).expect("it is JSON").items().expect("an array").to_vec()
}

fn find<'a>(all: &'a [Value], name: &str) -> Option<&'a Value> {
    all.iter().rfind(|one| one.get("name").and_then(Value::text) == Some(name))
}

fn state(one: &Value) -> Option<&str> {
    one.get("state").and_then(Value::text)
}

/// A value as it would be written, with `N` for numbers and `T` for times.
fn shape(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Flag(flag) => flag.to_string(),
        Value::Number(_) => "N".to_owned(),
        Value::Text(text) if Label::from_utc(text).is_some() => "T".to_owned(),
        Value::Text(text) => super::world::masked(&String::from_utf8_lossy(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(" ")),
        Value::Object(fields) => {
            format!(
                "{{{}}}",
                fields.iter().map(|(name, value)| format!("{name}={}", shape(value))).collect::<Vec<_>>().join(" ")
            )
        }
    }
}

#[test]
fn each_state_has_its_object() {
    for_each(users(), |&ordinary| {
        let world = World::in_every_state(ordinary);
        let used = "cpu_seconds=N memory_bytes=N";
        let since = "normally_up=true since=T";
        let rest = "waiting_for=[] needed_by=[]";
        let by = "supervise={pid=N version=N} paused=false";
        let root = fs::canonicalize(world.scratch.root()).expect("it is there");
        for (name, expected) in [
            (
                "backs-off",
                format!(
                    "state=backing off want=up {since} starts=N last_exit={{at=T code=N}} next_start=T {rest} {by} why=next try in Ns"
                ),
            ),
            ("done", format!("state=done want=down {since} starts=N last_exit={{at=T code=N}} {rest} {by}")),
            ("down", format!("state=down want=down normally_up=false since=T starts=N {rest} {by}")),
            (
                "failed",
                format!(
                    "state=failed want=down {since} starts=N last_exit={{at=T signal=SEGV}} {rest} {by} why=killed by SIGSEGV"
                ),
            ),
            (
                "finishes",
                format!(
                    "state=finishing want=up {since} starts=N last_exit={{at=T code=N}} {rest} {by} why=finish runs, pid N"
                ),
            ),
            ("no-mode", "state=broken needed_by=[] why=run is not executable".to_owned()),
            ("nowhere", "state=broken needed_by=[] why=it is a link to a directory that does not exist".to_owned()),
            (
                "once",
                format!("state=up want=once {since} pid=N starts=N {rest} {by} why=not to be started again {used}"),
            ),
            (
                "paused",
                format!(
                    "state=paused want=up {since} pid=N starts=N {rest} supervise={{pid=N version=N}} paused=true {used}"
                ),
            ),
            ("ready", format!("state=ready want=up {since} pid=N ready_since=T starts=N {rest} {by} {used}")),
            ("refused", format!("state=refused want=up {since} starts=N {rest} {by} why=kill-mode: cgroup: not known")),
            (
                "replaced",
                format!(
                    "state=replacing want=up {since} pid=N ready_since=T starts=N {rest} second={{pid=N role=new since=T}} {by} why=new copy starts, pid N {used}"
                ),
            ),
            (
                "sick",
                format!(
                    "state=unhealthy want=up {since} pid=N starts=N {rest} health={{failures=N since=T}} {by} why=health failed N times in Ns {used}"
                ),
            ),
            ("starts", format!("state=starting want=up {since} starts=N {rest} {by} why=start runs, pid N")),
            (
                "stops",
                format!(
                    "state=stopping want=down {since} pid=N ready_since=T starts=N {rest} {by} why=told to end {used}"
                ),
            ),
            (
                "told",
                format!(
                    "state=down want=down {since} starts=N last_exit={{at=T signal=TERM}} {rest} {by} why=told down (normally up)"
                ),
            ),
            ("unready", format!("state=starting want=up {since} pid=N starts=N {rest} {by} why=not ready yet {used}")),
            ("up", format!("state=up want=up {since} pid=N starts=N {rest} {by} {used}")),
            (
                "waits",
                format!("state=waiting want=up {since} starts=N waiting_for=[nobody] needed_by=[] {by} why=for nobody"),
            ),
        ] {
            let path = root.join("scan").join(name);
            let expected =
                format!("{{name={name} path={} {expected}}}", super::world::masked(path.to_str().expect("text")));
            let mut last = String::new();
            wait_for(&expected, || {
                last = shape(find(&told(&world, &[name]), name)?);
                (last == expected).then_some(())
            });
        }
        // The table and the objects tell the same.
        let (all, table) = (told(&world, &[]), world.uphold(&["status"]).out());
        assert_eq!(all.len() + 1, table.lines().count());
        for (one, line) in all.iter().zip(table.lines().skip(1)) {
            let name = one.get("name").and_then(Value::text).expect("a name");
            assert!(
                line.starts_with(&format!("{name} ")) && line.contains(state(one).expect("a state")),
                "{line}\n{one:?}"
            );
        }
        // And the metrics.
        metrics_are_told(&world, all.len());
    });
}

#[test]
fn names_bytes_deaths_needs_and_loggers() {
    let mut world = World::new(!is_root());
    world.scratch.lend("multilog");
    world.service("db", LIVES, &[("max-death-tally", "20")]);
    world.service("web", LIVES, &[("dependencies.d/db", "")]);
    world.service("api", LIVES, &[("wants.d/db", "")]);
    world.scratch.script("scan/web/log/run", "exec multilog t ./main");
    world.scratch.give("scan/web/log");
    let strange = b"a\"\\\x1b\n\xff\xc3\xa4";
    let path = Path::new("scan").join(OsStr::from_bytes(strange));
    world.scratch.script(path.join("run"), LIVES);
    world.serve();
    let db = |field: &str| told(&world, &["db"])[0].get(field).cloned();
    for _ in 0..2 {
        let before = wait_for("it is up", || db("pid"));
        assert_eq!(finish(&mut world.command("svc", &["-k", "scan/db"])).code, 0);
        wait_until("it is another one", || db("pid").is_some_and(|pid| pid != before));
    }
    let deaths = db("deaths").expect("it keeps them");
    assert_eq!(shape(&deaths), "[{at=T signal=KILL} {at=T signal=KILL}]");
    // It is up, so only the tally says when that was.
    assert_eq!(db("last_exit").as_ref(), deaths.items().and_then(|deaths| deaths.last()));
    assert_eq!(db("needed_by").as_ref().map(shape).as_deref(), Some("[api web]"));
    let main = fs::canonicalize(world.scratch.path("scan/web/log")).expect("it is there").join("main");
    let logger = format!("{{state=up pid=N directory={}}}", super::world::masked(main.to_str().expect("text")));
    wait_until(&logger, || told(&world, &["web"])[0].get("logger").map(shape).as_ref() == Some(&logger));
    let all = told(&world, &[]);
    assert_eq!(all[0].get("name"), Some(&Value::Text(strange.to_vec())));
    assert_eq!(all.len(), 4);
    assert_eq!(told(&world, &["web", "d*"]).len(), 2);
    assert!(told(&world, &["web/log"])[0].get("needed_by").is_none());
    let none = world.uphold(&["status", "--json", "nobody"]);
    assert_eq!(
        (none.code, none.out().as_str(), none.err().as_str()),
        (1, "[]\n", "uphold status: no service nobody in scan\n")
    );
    assert_eq!(world.uphold(&["status", "--follow", "nobody", "--json"]).code, 1);
    let label = "{name=\"a\\\"\\\\x5c\\\\x1b\\\\x0a\\\\xff\u{e4}\",state=\"up\"} 1\n";
    wait_until(label, || world.uphold(&["status", "--metrics"]).out().contains(label));
    metrics_are_told(&world, 4);
    for wrong in [
        &["--follow"][..],
        &["--json", "--metrics"],
        &["--output", "x"],
        &["--json", "--output", "x"],
        &["--metrics", "--follow"],
        &["--json", "-l"],
        &["--metrics", "--interval", "1s"],
        &["--metrics", "--output"],
        &["--json=x"],
    ] {
        assert_eq!(world.uphold(&[&["status"], wrong].concat()).code, 100, "{wrong:?}");
    }
}

/// Checks each line of the metrics of so many services.
#[track_caller]
fn metrics_are_told(world: &World, services: usize) {
    let said = world.uphold(&["status", "--metrics"]);
    assert_eq!((said.code, said.err().as_str()), (0, ""));
    let text = String::from_utf8(said.stdout).expect("UTF-8");
    let lines = text.strip_suffix("# EOF\n").expect("its end");
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let (mut family, mut families, mut samples) = (None, BTreeSet::new(), BTreeMap::new());
    let mut lines = lines.lines();
    while let Some(line) = lines.next() {
        if let Some(head) = line.strip_prefix("# TYPE ") {
            let (name, kind) = head.split_once(' ').expect("a type");
            assert!(is_name(name) && families.insert(name), "{line}");
            let help =
                lines.next().and_then(|line| line.strip_prefix("# HELP ")).and_then(|line| line.strip_prefix(name));
            assert!(help.is_some_and(|help| help.len() > 2 && help.starts_with(' ') && !help.contains('\\')), "{line}");
            family = Some(match kind {
                "gauge" => name.to_owned(),
                "counter" => format!("{name}_total"),
                _ => panic!("{line}"),
            });
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let labels = series.strip_prefix(family.as_deref().expect("a family")).expect("the same family");
        assert!(labels.is_empty() || is_set_of_labels(labels), "{line}");
        let parts = value.strip_prefix('-').unwrap_or(value).split_once('.').unwrap_or((value, "0"));
        assert!(
            [parts.0, parts.1]
                .iter()
                .all(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())),
            "{line}"
        );
        assert_eq!(samples.insert(series.to_owned(), value.to_owned()), None, "{line}");
    }
    assert_eq!(samples.keys().filter(|series| series.starts_with("uphold_service_state{")).count(), services);
    assert_eq!(samples.get("uphold_svscan_up").map(String::as_str), Some("1"));
}

/// Whether this is `{name="value",...}`.
fn is_set_of_labels(text: &str) -> bool {
    let Some(mut rest) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return false };
    loop {
        let Some((name, value)) = rest.split_once("=\"") else { return false };
        let mut chars = value.char_indices();
        let end = loop {
            match chars.next() {
                Some((at, '"')) => break at,
                Some((_, '\\')) if matches!(chars.next(), Some((_, '\\' | '"' | 'n'))) => {}
                Some((_, '\\' | '\n')) | None => return false,
                Some(_) => {}
            }
        };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return false;
        }
        match value[end + 1..].strip_prefix(',') {
            Some(more) => rest = more,
            None => return value.len() == end + 1,
        }
    }
}

#[test]
fn metrics_take_the_place_of_a_file_whole_or_not_at_all() {
    let mut world = World::new(!is_root());
    for name in ["db", "web"] {
        world.service(name, LIVES, &[]);
    }
    world.serve();
    for name in ["db", "web"] {
        world.wait_line(name, &format!("{name} up Ns N - N N% NM"));
    }
    world.scratch.mkdir_given("out");
    let put = |before: &str, file: &str| {
        let uphold = world.command("uphold", &[]).get_program().to_owned();
        let line = format!("{before} exec \"$0\" -C scan status --output=\"$1\" --metrics");
        let mut command = world.command("uphold", &[]);
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &line]).arg(uphold).arg(file).current_dir(world.scratch.root());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        command = if is_root() { shell } else { world.scratch.as_ordinary(shell) };
        finish(&mut command)
    };
    let there = || {
        let entries = fs::read_dir(world.scratch.path("out")).expect("it is there").flatten();
        entries.map(|entry| entry.file_name().into_string().expect("text")).collect::<Vec<_>>()
    };
    let done = put("umask 077;", "out/uphold.prom");
    assert_eq!((done.code, done.out().as_str(), done.err().as_str()), (0, "", ""));
    let first = world.scratch.text("out/uphold.prom");
    assert!(first.ends_with("# EOF\n") && first.contains("uphold_service_up{name=\"web\"} 1\n"), "{first}");
    let mode = fs::metadata(world.scratch.path("out/uphold.prom")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    // As on a full disk.
    let full = put("trap '' XFSZ; ulimit -f 1;", "out/uphold.prom");
    assert_eq!(
        (full.code, full.err().as_str()),
        (111, "uphold status: fatal: unable to write out/uphold.prom: file too big\n")
    );
    assert_eq!((world.scratch.text("out/uphold.prom"), there()), (first, vec!["uphold.prom".to_owned()]));
    for (file, why) in
        [("out", "it is no plain file"), ("none/x", "file does not exist"), ("/dev/null", "it is no plain file")]
    {
        let wrong = put("", file);
        assert_eq!((wrong.code, wrong.err()), (111, format!("uphold status: fatal: unable to write {file}: {why}\n")));
    }
}

/// Somebody who follows.
struct Follower {
    uphold: Running,
    lines: Receiver<String>,
    /// What was told, as text and as values.
    seen: Vec<(String, Value)>,
}

fn start(world: &World, words: &[&str]) -> Running {
    let words = [&["-C", "scan", "status", "--json", "--follow"], words].concat();
    testkit::start(world.command("uphold", &words).stdout(Stdio::piped()).stderr(Stdio::null()))
}

impl Follower {
    fn new(world: &World, words: &[&str]) -> Follower {
        Follower::of(start(world, words))
    }

    fn of(mut uphold: Running) -> Follower {
        let stdout = uphold.child().stdout.take().expect("piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if line.map(|line| sender.send(line)).is_err() {
                    break;
                }
            }
        });
        Follower { uphold, lines, seen: Vec::new() }
    }

    /// Waits until what was told last about a service is as `wanted`.
    #[track_caller]
    fn until(&mut self, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
        let is_there = |seen: &[(String, Value)]| {
            seen.iter()
                .rfind(|(_, one)| one.get("name").and_then(Value::text) == Some(name))
                .is_some_and(|(_, one)| wanted(one))
        };
        while !is_there(&self.seen) {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("{name}: {what} in vain: {:?}", self.seen.iter().map(|(line, _)| line).collect::<Vec<_>>())
            };
            let value = json::read(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
            self.seen.push((line, value));
        }
    }

    #[track_caller]
    fn until_state(&mut self, name: &str, wanted: &str) {
        self.until(name, wanted, |one| state(one) == Some(wanted));
    }

    /// Checks that no line tells what the last one about the service has told.
    #[track_caller]
    fn told_nothing_twice(&self) {
        let mut last = BTreeMap::new();
        for (line, value) in &self.seen {
            let counts = |name: &str| matches!(name, "cpu_seconds" | "memory_bytes" | "processes");
            let state = state(value);
            let counts =
                |name: &str| counts(name) || name == "why" && matches!(state, Some("backing off" | "unhealthy"));
            let Value::Object(fields) = value else { panic!("{line}") };
            let news: Vec<_> = fields.iter().filter(|(name, _)| !counts(name)).cloned().collect();
            let name = value.get("name").and_then(Value::text).expect("a name").to_owned();
            assert_ne!(last.insert(name, news.clone()), Some(news), "twice: {line}");
        }
    }
}

#[test]
fn each_change_of_thirty_services_is_told_once() {
    if !needs_inotify() {
        return;
    }
    let mut world = World::new(!is_root());
    let names: Vec<String> = (0..30).map(|number| format!("s{number:02}")).collect();
    for name in &names {
        world.service(name, LIVES, &[]);
    }
    world.serve();
    let mut follower = Follower::new(&world, &[]);
    for name in &names {
        follower.until_state(name, "up");
    }
    let svc = |letter: &str| {
        let mut command = world.command("svc", &[letter]);
        assert_eq!(finish(command.args(names.iter().map(|name| format!("scan/{name}")))).code, 0);
    };
    let first = follower.seen.len();
    const ROUNDS: usize = 10;
    for _ in 0..ROUNDS {
        for (letter, wanted) in [("-p", "paused"), ("-c", "up")] {
            svc(letter);
            for name in &names {
                follower.until_state(name, wanted);
            }
        }
    }
    follower.told_nothing_twice();
    for name in &names {
        let states = follower.seen[first..]
            .iter()
            .map(|(_, one)| one)
            .filter(|one| find(std::slice::from_ref(one), name).is_some());
        let states: Vec<_> = states.filter_map(state).collect();
        // The kernel may report a stop late, so that a service is paused and up once more.
        assert!(
            states.len() >= 2 * ROUNDS && states.chunks(2).all(|two| two == ["paused", "up"]),
            "{name}: {states:?}"
        );
    }
    // It sleeps as long as nothing changes.
    let woken = || {
        let status = fs::read_to_string(format!("/proc/{}/status", follower.uphold.pid())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).expect("it counts");
        line.trim().parse::<u64>().expect("a number")
    };
    let before = testkit::wait_rest("it sleeps", Duration::from_millis(300), || Some(woken()));
    holds_for(Duration::from_millis(700), "it sleeps", || woken() == before);
    // Nobody reads any more.
    let mut uphold = start(&world, &[]);
    let mut one = [0];
    uphold.child().stdout.as_mut().expect("piped").read_exact(&mut one).expect("it tells");
    drop(uphold.child().stdout.take());
    assert_eq!(uphold.end(), 0);
}

#[test]
fn what_comes_goes_and_changes_besides_is_told() {
    if !needs_inotify() {
        return;
    }
    let mut world = World::new(!is_root());
    world.scratch.lend("multilog");
    for name in ["db", "web", "web2"] {
        world.service(name, LIVES, &[]);
    }
    let mut all = Follower::new(&world, &[]);
    all.until("db", "nobody runs it", |one| one.get("why").and_then(Value::text) == Some("no supervise runs"));
    world.serve();
    let mut some = Follower::new(&world, &["w*"]);
    for name in ["db", "web", "web2"] {
        all.until_state(name, "up");
    }
    some.until_state("web", "up");
    let normally = |up: bool| move |one: &Value| one.get("normally_up") == Some(&Value::Flag(up));
    world.scratch.write("scan/db/down", "");
    all.until("db", "a file down", normally(false));
    fs::remove_file(world.scratch.path("scan/db/down")).expect("it is ours");
    all.until("db", "no file down", normally(true));
    world.scratch.write("scan/web/dependencies.d/db", "");
    let needed = |by: &'static str| move |one: &Value| one.get("needed_by").map(shape).as_deref() == Some(by);
    all.until("db", "it is needed", needed("[web]"));
    // A logger comes.
    world.scratch.script("new-log/run", "exec multilog t ./main");
    world.scratch.give("new-log");
    fs::rename(world.scratch.path("new-log"), world.scratch.path("scan/web2/log")).expect("it is ours");
    all.until("web2", "its logger", |one| one.get("logger").is_some());
    // A supervise is killed.
    world.svscan().signal("STOP");
    let supervise = find(&told(&world, &["db"]), "db").and_then(|one| one.get("supervise")?.get("pid")?.number());
    signal(u32::try_from(supervise.expect("it runs")).expect("a pid"), "KILL");
    all.until_state("db", "broken");
    world.svscan().signal("CONT");
    all.until_state("db", "up");
    // Services go and come.
    let is_gone = |one: &Value| one.get("gone") == Some(&Value::Flag(true));
    for name in ["db", "web"] {
        fs::rename(world.scratch.path(format!("scan/{name}")), world.scratch.path(name)).expect("it is ours");
        all.until(name, "gone", is_gone);
    }
    some.until("web", "gone", is_gone);
    world.service("new", LIVES, &[]);
    all.until_state("new", "up");
    fs::rename(world.scratch.path("web"), world.scratch.path("scan/web")).expect("it is ours");
    all.until_state("web", "up");
    some.until_state("web", "up");
    for follower in [&mut all, &mut some] {
        follower.told_nothing_twice();
        assert_eq!(follower.uphold.ended(), None);
    }
    assert!(
        some.seen
            .iter()
            .all(|(_, one)| one.get("name").and_then(Value::text).is_some_and(|name| name.starts_with('w')))
    );
}

#[test]
fn a_slow_reader_costs_no_memory_and_is_told_the_newest_state() {
    if !needs_inotify() {
        return;
    }
    const ROUNDS: usize = 60;
    let mut world = World::new(!is_root());
    let names: Vec<String> = (0..30).map(|number| format!("s{number:02}")).collect();
    for name in &names {
        world.service(name, LIVES, &[]);
    }
    world.serve();
    wait_until("all are up", || told(&world, &[]).iter().all(|one| state(one) == Some("up")));
    let uphold = start(&world, &[]);
    let svc = |letter: &str| {
        let mut command = world.command("svc", &[letter]);
        assert_eq!(finish(command.args(names.iter().map(|name| format!("scan/{name}")))).code, 0);
    };
    for _ in 0..ROUNDS {
        svc("-p");
        svc("-c");
    }
    svc("-d");
    wait_until("all are down", || told(&world, &[]).iter().all(|one| state(one) == Some("down")));
    // It has nothing more to do but to write.
    let sleeps = || testkit::state(uphold.pid()).filter(|&state| state == 'S');
    testkit::wait_rest("it sleeps", Duration::from_millis(100), sleeps);
    let mut follower = Follower::of(uphold);
    for name in &names {
        follower.until_state(name, "down");
    }
    follower.told_nothing_twice();
    let bytes: usize = follower.seen.iter().map(|(line, _)| line.len() + 1).sum();
    let longest = follower.seen.iter().map(|(line, _)| line.len() + 1).max().expect("lines");
    // What a pipe holds, what was begun, and a line for each.
    assert!(bytes <= (1 << 16) + 4096 + (names.len() + 1) * longest, "{bytes} bytes");
}
