//! The directory `cgroup/`: the service gets a cgroup, and in it one for each of its lives.
//!
//! Each service here has its supervise in a cgroup that the test has made. What needs controllers, which not every machine passes on, is tested in a virtual
//! machine by `.ci/boots`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sys::cgroup::Cgroup;
use testkit::{Running, Scratch, is_root, lives, needs_program, signal, wait_for, wait_until};

use super::place::{Place, nobody, path};
use super::service::{LIVES, Service, User, for_each_user};

/// The path of the cgroup of a process.
fn cgroup_of(pid: u32) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives");
    text.lines().find_map(|line| line.strip_prefix("0::")).expect("there are cgroups of version 2").into()
}

/// Starts the supervise of a service that has `cgroup/` in that place, and then the service.
fn start(place: &Place, service: Service) -> Service {
    service.scratch.mkdir("web/cgroup");
    service.put("down", "");
    let service = service.start();
    place.take(service.record().observed.supervise.pid);
    service.svc("-u");
    service
}

/// Makes the place and the service, and starts that.
fn begin(user: User, run: &str) -> Option<(Place, Service)> {
    let place = Place::new(user)?;
    let service = start(&place, Service::new(user, run, &[]));
    Some((place, service))
}

#[test]
fn each_life_has_a_cgroup_in_that_of_the_service() {
    for_each_user(|user| {
        let Some((place, mut service)) = begin(user, LIVES) else {
            return;
        };
        let first = service.wait_up();
        let cgroup = place.service();
        let name = cgroup.path().file_name().expect("it has one").to_string_lossy().into_owned();
        let here = fs::metadata(service.scratch.path("web")).expect("it is there");
        assert_eq!(name, format!("uphold-web-{:x}.{:x}", here.dev(), here.ino()));
        assert_eq!(cgroup_of(first), cgroup.path().join("1"));
        assert_eq!(cgroup_of(service.record().observed.supervise.pid), place.cgroup.path());
        signal(first, "KILL");
        let second = service.wait_restart(first);
        assert_eq!(cgroup_of(second).parent(), Some(cgroup.path()));
        assert_eq!(place.lives().len(), 1, "the first is gone");
        let noted = service.scratch.text("web/supervise/cgroup");
        assert_eq!(Path::new(noted.trim_end()), cgroup.path());
        service.svc("-d");
        assert_eq!(service.wait(&["--wait=down"]).code, 0);
        assert_eq!(place.lives(), [""; 0]);
        service.svc("-x");
        assert_eq!(service.end(), 0);
        assert_eq!(place.names(), [""; 0]);
        assert!(!service.scratch.path("web/supervise/cgroup").exists());
        assert_eq!(service.said(), "");
    });
}

#[test]
fn svstat_tells_how_many_processes_live_there() {
    let Some((_place, service)) = begin(User::Own, "sleep 1000 & exec sleep 1000") else {
        return;
    };
    service.wait_up();
    let long = || service.scratch.run("svstat", &["--long", "web"]).out();
    wait_until(&format!("two live there: {}", long()), || long().contains(", processes 2"));
    let line = long();
    let used = line.trim_end().split(", cpu ").nth(1).and_then(|rest| rest.strip_suffix(" ms"));
    assert!(used.is_some_and(|used| used.parse::<u64>().is_ok()), "{line}");
    assert!(!service.svstat().contains("processes"));
    service.svc("-d");
    assert_eq!(service.wait(&["--wait=down"]).code, 0);
    assert!(!long().contains("processes"), "{}", long());
}

#[test]
fn who_is_left_behind_keeps_the_cgroup_of_its_life() {
    for_each_user(|user| {
        let run = "sleep 1000 & echo $! >left.new; [ -e left ] || mv left.new left; exec sleep 1000";
        let service = Service::new(user, run, &[]);
        let Some(place) = Place::new(user) else {
            return;
        };
        let mut service = start(&place, service);
        let first = service.wait_up();
        let left = wait_for("it has a child", || service.scratch.text("web/left").trim().parse::<u32>().ok());
        let life = cgroup_of(first);
        signal(first, "KILL");
        let second = service.wait_restart(first);
        assert_eq!(cgroup_of(left), life);
        assert_ne!(cgroup_of(second), life);
        assert_eq!(place.lives().len(), 2);
        signal(left, "KILL");
        wait_until("it is gone", || !lives(left));
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        assert_eq!(place.names().len(), 1, "a child of the second lives there");
        service.supervise();
        place.take(service.record().observed.supervise.pid);
        service.svc("-u");
        let third = service.wait_up();
        assert_eq!(place.lives().len(), 2, "the second, in which a child is left, and the third");
        assert!(cgroup_of(third).starts_with(place.service().path()));
    });
}

#[test]
fn a_new_copy_and_the_old_one_do_not_live_in_the_same() {
    for_each_user(|user| {
        let Some((place, service)) = begin(user, LIVES) else {
            return;
        };
        let old = service.wait_up();
        let life = cgroup_of(old);
        service.put("warmup", "1ms");
        assert_eq!(service.wait(&["-R", "--wait=replaced"]).code, 0);
        let new = service.wait_restart(old);
        assert_ne!(cgroup_of(new), life);
        assert_eq!(cgroup_of(new).parent(), life.parent());
        wait_until("the old one is gone, with its cgroup", || place.lives().len() == 1);
        assert_eq!(place.lives(), [cgroup_of(new).file_name().expect("it has one")]);
        assert_eq!(service.said(), "");
    });
}

#[test]
fn a_successor_finds_it_wherever_it_is_started() {
    for_each_user(|user| {
        let Some((place, mut service)) = begin(user, LIVES) else {
            return;
        };
        let first = service.wait_up();
        let life = cgroup_of(first);
        service.kill_supervise();
        service.supervise();
        if user == User::Ordinary {
            // Where the test runs, an ordinary user can make none.
            place.take(service.record().observed.supervise.pid);
        }
        assert_eq!(service.wait(&["--reexec"]).code, 0);
        assert_eq!((cgroup_of(first), place.lives().len()), (life.clone(), 1));
        signal(first, "KILL");
        let second = service.wait_restart(first);
        assert_eq!(cgroup_of(second).starts_with(place.cgroup.path()), user == User::Ordinary);
        assert_eq!(place.names().len(), usize::from(user == User::Ordinary), "{} is gone", life.display());
        service.svc("-dx");
        assert_eq!(service.end(), 0);
        assert_eq!(place.names(), [""; 0]);
        assert!(!service.scratch.path("web/supervise/cgroup").exists());
        assert_eq!(service.said(), "");
    });
}

/// What keeps the service from its start: the file `name` in `cgroup/`, and what svstat says.
#[track_caller]
fn is_held_back(service: &Service, name: &str, contents: &str, why: &str) {
    let file = service.scratch.write(Path::new("web/cgroup").join(name), contents);
    let before = service.said();
    service.svc("-u");
    service.wait_svstat(&format!("down S seconds, want up, cgroup/{name}: {why}"));
    let warning = format!("supervise: warning: unable to set web/cgroup/{name}: {why}\n");
    service.wait_said(&(before + &warning));
    service.svc("-d");
    service.wait_svstat(&format!("down S seconds, cgroup/{name}: {why}"));
    fs::remove_file(file).expect("it is there");
}

#[test]
fn a_limit_that_cannot_be_set_holds_the_start_back() {
    let Some(place) = Place::new(User::Own) else {
        return;
    };
    let service = Service::new(User::Own, LIVES, &[("down", "")]);
    service.scratch.mkdir("web/cgroup");
    let service = service.start();
    place.take(service.record().observed.supervise.pid);
    for name in ["cgroup.kill", "cgroup.procs", "cgroup.freeze", "cgroup.type"] {
        is_held_back(&service, name, "1", "it is no limit");
    }
    is_held_back(&service, "pids.max", "", "it is empty");
    is_held_back(&service, "memory.max", "\n\n", "it is empty");
    is_held_back(&service, "cpu.max", &"1".repeat(4097), "it is too long");
    is_held_back(&service, "none.max", "1", "there is no such controller here");
    is_held_back(&service, "none", "1", "file does not exist");
    let controllers = place.cgroup.controllers().expect("they are told");
    if controllers.is_empty() {
        is_held_back(&service, "memory.max", "32M", "there is no such controller here");
    }
    // A link is as good as a file, and one that leads nowhere says so.
    symlink("nowhere", service.scratch.path("web/cgroup/none.max")).expect("a link");
    service.svc("-u");
    service.wait_svstat("down S seconds, want up, cgroup/none.max: file does not exist");
    fs::remove_file(service.scratch.path("web/cgroup/none.max")).expect("it is there");
    // What begins with a dot does not count.
    service.scratch.write("web/cgroup/.cgroup.kill", "1");
    service.wait_up();
    assert_eq!(service.starts(), 1);
}

/// Makes a service that is down, and its place.
fn waiting() -> Option<(Place, Service)> {
    let place = Place::new(User::Own)?;
    let service = Service::new(User::Own, LIVES, &[("down", "")]).start();
    place.take(service.record().observed.supervise.pid);
    Some((place, service))
}

#[test]
fn what_is_no_file_in_it_holds_the_start_back() {
    let Some((place, service)) = waiting() else {
        return;
    };
    let path = service.scratch.mkdir("web/cgroup").join("none.max");
    fs::create_dir(&path).expect("a directory");
    service.svc("-u");
    service.wait_svstat("down S seconds, want up, cgroup/none.max: is a directory");
    fs::remove_dir(&path).expect("it is empty");
    let first = service.wait_up();
    // Nobody writes to it.
    sys::fd::make_fifo(&path).expect("a FIFO");
    signal(first, "KILL");
    service.wait_svstat("down S seconds, want up, cgroup/none.max: it is empty");
    fs::remove_file(&path).expect("it is there");
    service.wait_restart(first);
    let said = ["is a directory", "it is empty"]
        .map(|why| format!("supervise: warning: unable to set web/cgroup/none.max: {why}\n"));
    service.wait_starts(2);
    assert_eq!(service.said(), said.concat());
    assert_eq!(cgroup_of(service.wait_up()).parent(), Some(place.service().path()));
}

#[test]
fn nothing_but_the_names_and_values_of_limits_leads_anywhere() {
    let Some((place, service)) = waiting() else {
        return;
    };
    service.scratch.mkdir("web/cgroup");
    let no_controller = "there is no such controller here";
    is_held_back(&service, "a..b", "1", no_controller);
    is_held_back(&service, "none..", "../1", no_controller);
    is_held_back(&service, "none.max", "../../cgroup.procs", no_controller);
    // The kernel would take what is before a NUL for the whole value. No controller is needed to know that.
    for (number, value) in ["1\x002", "1\0", "\0", "\x001\n", "1\n\x002"].iter().enumerate() {
        is_held_back(&service, &format!("none.{number}"), value, "it has a NUL byte");
    }
    is_held_back(&service, "none", "1\x002", "it has a NUL byte");
    if place.cgroup.controllers().expect("they are told").iter().any(|controller| controller == b"pids") {
        is_held_back(&service, "pids.max", "../1", "invalid argument");
    }
    // A dot comes first.
    for name in ["..x", "...", "..cgroup.kill"] {
        service.scratch.write(Path::new("web/cgroup").join(name), "1");
    }
    let before = service.said();
    service.svc("-u");
    service.wait_up();
    assert_eq!(service.said(), before);
}

#[test]
fn a_link_in_its_place_leads_to_another_directory() {
    let Some((place, service)) = waiting() else {
        return;
    };
    // What lies above the service directory, of which this is the first file, holds no limits.
    service.scratch.write("above", "");
    let link = service.scratch.path("web/cgroup");
    symlink("..", &link).expect("a link");
    service.svc("-u");
    service.wait_svstat("down S seconds, want up, cgroup/above: it is empty");
    service.wait_said("supervise: warning: unable to set web/cgroup/above: it is empty\n");
    service.scratch.write("beside", "");
    service.scratch.write("above", "1");
    service.wait_svstat("down S seconds, want up, cgroup/beside: it is empty");
    assert_eq!((service.starts(), place.names()), (0, Vec::new()));
    fs::remove_file(&link).expect("it is there");
    service.wait_up();
    let said =
        ["above", "beside"].map(|name| format!("supervise: warning: unable to set web/cgroup/{name}: it is empty\n"));
    assert_eq!(service.said(), said.concat());
}

#[test]
fn a_thousand_files_are_read_and_one_more_is_too_many() {
    let Some((_place, service)) = waiting() else {
        return;
    };
    service.scratch.mkdir("web/cgroup");
    for number in 0..1000 {
        service.scratch.write(format!("web/cgroup/none.{number:04}"), "1");
    }
    is_held_back(&service, "none.0000", "1", "there is no such controller here");
    // That one is gone: again there are a thousand, and then one more.
    service.scratch.write("web/cgroup/none.1000", "1");
    service.svc("-u");
    service.wait_svstat("down S seconds, want up, cgroup/none.0001: there is no such controller here");
    service.scratch.write("web/cgroup/none.1001", "1");
    service.wait_svstat("down S seconds, want up, cgroup: it has more than 1000 files");
    service.svc("-d");
    service.wait_svstat("down S seconds, cgroup: it has more than 1000 files");
    for number in 1..=1001 {
        fs::remove_file(service.scratch.path(format!("web/cgroup/none.{number:04}"))).expect("it is there");
    }
    service.svc("-u");
    service.wait_up();
    assert_eq!(service.said().lines().count(), 3, "{}", service.said());
}

#[test]
fn without_a_cgroup_the_service_is_not_started() {
    let Some(place) = Place::new(User::Own) else {
        return;
    };
    let service = Service::new(User::Own, LIVES, &[("cgroup", "")]).start();
    service.wait_svstat("down S seconds, normally up, want up, cgroup: not a directory");
    service.wait_said("supervise: warning: unable to make a cgroup for web: not a directory\n");
    service.remove("cgroup");
    let first = service.wait_up();
    // A link that leads nowhere asks for limits too.
    symlink("nowhere", service.scratch.path("web/cgroup")).expect("a link");
    service.put("down", "");
    signal(first, "KILL");
    service.wait_svstat("down S seconds, want up, cgroup: file does not exist");
    service.remove("cgroup");
    let first = service.wait_up();
    // More files than there may be.
    service.scratch.mkdir("web/cgroup");
    for number in 0..=1000 {
        service.scratch.write(format!("web/cgroup/x{number}"), "");
    }
    signal(first, "KILL");
    service.wait_svstat("down S seconds, want up, cgroup: it has more than 1000 files");
    for number in 0..=1000 {
        fs::remove_file(service.scratch.path(format!("web/cgroup/x{number}"))).expect("it is there");
    }
    let second = service.wait_up();
    // Somebody else, who could kill what lives there, has one of the same name in which a process lives.
    service.svc("-d");
    assert_eq!(service.wait(&["--wait=down"]).code, 0);
    place.take(service.record().observed.supervise.pid);
    if is_root() {
        let name = cgroup_name(&service);
        let theirs = place.cgroup.make(&name).expect("it is ours");
        let sleep = testkit::start(Command::new("sleep").arg("1000"));
        theirs.write(OsStr::new("cgroup.procs"), sleep.pid().to_string().as_bytes()).expect("it is ours");
        chown(path(&theirs), Some(nobody()), None).expect("root may do that");
        service.svc("-u");
        service.wait_svstat("down S seconds, want up, cgroup: it belongs to another user");
        drop(sleep);
        let third = service.wait_restart(second);
        assert_eq!(cgroup_of(third), theirs.path().join("1").as_path());
    }
}

fn cgroup_name(service: &Service) -> OsString {
    let here = fs::metadata(service.scratch.path("web")).expect("it is there");
    format!("uphold-web-{:x}.{:x}", here.dev(), here.ino()).into()
}

#[test]
fn an_ordinary_user_who_may_not_make_one_is_told_so() {
    if !is_root() || Cgroup::own().is_err() {
        return;
    }
    let service = Service::new(User::Ordinary, LIVES, &[]);
    service.scratch.mkdir("web/cgroup");
    let service = service.start();
    service.wait_svstat("down S seconds, normally up, want up, cgroup: access denied");
}

#[test]
fn it_goes_with_the_directory() {
    for_each_user(|user| {
        let Some((place, service)) = begin(user, LIVES) else {
            return;
        };
        let first = service.wait_up();
        fs::remove_dir(service.scratch.path("web/cgroup")).expect("it is empty");
        signal(first, "KILL");
        let second = service.wait_restart(first);
        assert_eq!(cgroup_of(second), place.cgroup.path());
        assert_eq!(place.names(), [""; 0]);
    });
}

/// What somebody has copied is not taken for the first one's.
#[test]
fn the_copy_of_a_service_directory_has_another() {
    let Some((place, service)) = begin(User::Own, LIVES) else {
        return;
    };
    let first = service.wait_up();
    let noted = service.scratch.text("web/supervise/cgroup");
    service.scratch.service("other", "exec sleep 1000");
    service.scratch.mkdir("other/cgroup");
    service.scratch.write("other/supervise/cgroup", noted);
    service.scratch.write("other/down", "");
    let mut other = service.scratch.start("other", "supervise", &["other"]);
    wait_until("a supervise runs", || service.scratch.run("svok", &["other"]).code == 0);
    place.take(other.pid());
    super::world::svc(&service.scratch, "-u", "other");
    let copy = super::world::wait_up(&service.scratch, "other");
    assert_ne!(cgroup_of(copy).parent(), cgroup_of(first).parent());
    super::world::svc(&service.scratch, "-dx", "other");
    assert_eq!(other.end(), 0);
    assert!(lives(first));
    assert_eq!(place.lives(), ["1"]);
}

#[test]
fn svscan_moves_to_a_leaf_and_the_services_are_beside_it() {
    let Some(place) = Place::new(User::Own) else {
        return;
    };
    let service = Service::new(User::Own, LIVES, &[]);
    service.scratch.mkdir("web/cgroup");
    service.scratch.mkdir("scan");
    symlink("../web", service.scratch.path("scan/web")).expect("a link");
    let mut command = Command::new("sh");
    let enter = "echo 0 >\"$0/cgroup.procs\" && exec \"$@\"";
    command.args(["-c", enter]).arg(place.directory());
    command.arg(service.scratch.suite().path("svscan")).args(["--cgroup", "scan"]).current_dir(service.scratch.root());
    let svscan = testkit::start(command.stdin(Stdio::null()));
    let first = super::world::wait_up(&service.scratch, "scan/web");
    let leaf = cgroup_of(svscan.pid());
    assert_eq!(leaf, place.cgroup.path().join("uphold-svscan"));
    assert_eq!(cgroup_of(service.record().observed.supervise.pid), leaf);
    assert_eq!(cgroup_of(first).parent().and_then(Path::parent), leaf.parent());
    // Another one, which begins in that cgroup, stays there.
    drop(svscan);
    let svscan = testkit::start(&mut command);
    wait_until("it has moved", || cgroup_of(svscan.pid()) == leaf);
}

/// Starts svscan in a mount and a cgroup namespace of its own, whose first cgroup is that place, as in a container.
fn contained(place: &Place, scratch: &Scratch, mount: &str, options: &[&str]) -> Option<Running> {
    let unshare = needs_program("unshare")?;
    let mut command = Command::new("sh");
    command.args(["-c", "echo 0 >\"$0/cgroup.procs\" && exec \"$@\""]).arg(place.directory());
    command.arg(unshare).args(["--cgroup", "--mount", "--fork", "--kill-child", "sh", "-c"]);
    command.arg(format!("mount -t cgroup2 cgroup /sys/fs/cgroup && {mount} && exec \"$0\" \"$@\""));
    command.arg(scratch.suite().path("svscan")).args(options).arg("scan").current_dir(scratch.root());
    Some(testkit::start(command.env("PATH", scratch.suite().search_path()).stdin(Stdio::null())))
}

#[test]
fn in_a_container_with_a_cgroup_namespace_the_services_are_beside_svscan() {
    let Some(place) = Place::new(User::Own).filter(|_| is_root()) else {
        return;
    };
    let scratch = Scratch::new();
    scratch.service("scan/web", "cat /proc/self/cgroup >groups; exec sleep 1000");
    scratch.mkdir("scan/web/cgroup");
    let Some(_svscan) = contained(&place, &scratch, "true", &["--cgroup"]) else {
        return;
    };
    let web = super::world::wait_up(&scratch, "scan/web");
    let names = place.names();
    let [leaf, service] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(leaf, "uphold-svscan");
    assert_eq!(cgroup_of(web), place.cgroup.path().join(service).join("1"));
    // The service sees nothing of what is outside.
    let seen = || scratch.text("scan/web/groups").lines().find_map(|line| line.strip_prefix("0::").map(PathBuf::from));
    assert_eq!(wait_for("it has looked", seen), Path::new("/").join(service).join("1"));
}

#[test]
fn in_a_container_whose_cgroups_are_read_only_no_cgroup_is_made_and_a_tree_is_known_by_descent() {
    let Some(place) = Place::new(User::Own).filter(|_| is_root()) else {
        return;
    };
    let scratch = Scratch::new();
    scratch.service("scan/tree", "setsid sleep 1000 & echo $! >left; exec sleep 1000");
    scratch.write("scan/tree/kill-mode", "tree");
    scratch.service("scan/web", LIVES);
    scratch.mkdir("scan/web/cgroup");
    let read_only = "mount -o remount,bind,ro /sys/fs/cgroup";
    let Some(_svscan) = contained(&place, &scratch, read_only, &[]) else {
        return;
    };
    let svstat = || scratch.run("svstat", &["scan/web"]).out();
    wait_until("it is held back", || svstat().ends_with(", cgroup: read-only file system\n"));
    let tree = super::world::wait_up(&scratch, "scan/tree");
    assert_eq!(cgroup_of(tree), place.cgroup.path());
    let left = wait_for("it has a child", || scratch.text("scan/tree/left").trim().parse::<u32>().ok());
    assert_eq!(scratch.run("svc", &["-d", "--wait=down", "scan/tree"]).code, 0);
    assert!(!lives(left) && !lives(tree));
    assert_eq!(place.names(), [""; 0]);
}
