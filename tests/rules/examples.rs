//! The services of `examples/rules` do what they say.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use testkit::{Scratch, lives, needs_program, signal, start, wait_for, wait_until};

use super::world::{svc, svstat, wait_up};

/// Copies the services to the scan directory `rules`, as git has them.
fn copy(scratch: &Scratch) {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/rules");
    for service in fs::read_dir(examples).expect("it is there").flatten() {
        let dir = Path::new("rules").join(service.file_name());
        scratch.mkdir(&dir);
        copy_files(&service.path(), &scratch.path(&dir));
        for below in ["cgroup", "control", "dependencies.d", "wants.d"] {
            let from = service.path().join(below);
            if from.exists() {
                copy_files(&from, &scratch.mkdir(dir.join(below)));
            }
        }
    }
    for made in [
        "cleanup/last",
        "job/result",
        "limit/last",
        "health/sick",
        "helpers/helper",
        "ready/stuck",
        "heart/broken",
        "parked/starts",
        "setup/state",
        "drain/last",
    ] {
        let _ = fs::remove_file(scratch.path("rules").join(made));
    }
}

/// Copies the files of a directory. Whoever has started the examples has directories there too.
fn copy_files(from: &Path, to: &Path) {
    let files = fs::read_dir(from).expect("it is a directory").flatten().filter(|file| file.path().is_file());
    for file in files {
        fs::copy(file.path(), to.join(file.file_name())).expect("a file");
    }
}

#[test]
fn each_service_of_the_examples_does_what_it_says() {
    let scratch = Scratch::new();
    copy(&scratch);
    scratch.mkdir("target/release");
    symlink(scratch.suite().path("uphold"), scratch.path("target/release/uphold")).expect("a link");
    let stuck = scratch.write("rules/ready/stuck", "");
    let mut command = scratch.command("svscan", &["rules"]);
    let _svscan = start(command.env("CARGO_TARGET_DIR", scratch.path("target")));
    let said = |name: &str| svstat(&scratch, Path::new("rules").join(name).to_str().expect("a name"));
    let said_so = |name: &'static str, clause: &'static str| {
        wait_until(&format!("{name} is {clause}: {}", said(name)), || said(name).contains(clause));
    };
    said_so("job", ", done");
    assert!(scratch.path("rules/job/result").exists());
    said_so("pace", ", next start in ");
    said_so("limit", ", failed: ended 5 times in ");
    let deaths = scratch.run("svstat", &["--deaths", "rules/limit"]).out();
    assert_eq!(deaths.lines().filter(|line| line.ends_with(": exited 78")).count(), 5, "{deaths}");
    wait_until("the last end was told", || scratch.text("rules/limit/last") == "run exit 78\n");
    // Where the kernel gives no limits, that is said.
    let long = || scratch.run("svstat", &["--long", "rules/memory"]).out();
    wait_until("it is limited", || long().contains(", killed for memory") || long().contains(", cgroup"));
    said_so("ready", ", ready ");
    said_so("store", ", ready ");
    let api = wait_up(&scratch, "rules/api");
    assert_eq!(scratch.run("svc", &["-d", "--wait=down", "rules/store"]).code, 0);
    assert_eq!(wait_up(&scratch, "rules/api"), api, "it is left alone");
    svc(&scratch, "-k", "rules/api");
    said_so("api", ", waiting for store");
    svc(&scratch, "-u", "rules/store");
    wait_up(&scratch, "rules/api");
    scratch.write("rules/heart/broken", "");
    said_so("heart", ", failed: exited 7");
    assert!(!stuck.exists(), "it was stuck first");
    said_so("setup", ", done");
    assert_eq!(scratch.text("rules/setup/state"), "set up\n");
    assert_eq!(scratch.run("svc", &["-d", "--wait=down", "rules/setup"]).code, 0);
    assert_eq!(scratch.text("rules/setup/state"), "taken down\n");
    wait_up(&scratch, "rules/drain");
    assert_eq!(scratch.run("svc", &["-d", "--wait=down", "rules/drain"]).code, 0);
    assert_eq!(scratch.text("rules/drain/last"), "drained\n");
    wait_up(&scratch, "rules/page");
    // Whatever they leave behind, they are started again.
    for name in ["lease", "pool", "peer", "escape", "balance"] {
        let first = wait_up(&scratch, &format!("rules/{name}"));
        svc(&scratch, "-t", &format!("rules/{name}"));
        wait_until(&format!("{name} is started again"), || wait_up(&scratch, &format!("rules/{name}")) != first);
    }
    let first = wait_up(&scratch, "rules/health");
    scratch.write("rules/health/sick", "");
    wait_until("it is started again", || wait_up(&scratch, "rules/health") != first);
    let run = wait_up(&scratch, "rules/helpers");
    let helper = || fs::read_to_string(scratch.path("rules/helpers/helper")).ok()?.trim_end().parse().ok();
    let helper = wait_for("it has a helper", helper);
    signal(run, "KILL");
    wait_until("it is started again", || wait_up(&scratch, "rules/helpers") != run);
    assert!(!lives(helper), "it was waited for");
    let told = || fs::read_to_string(scratch.path("rules/cleanup/last")).unwrap_or_default();
    wait_until("finish was told", || told() == "cleanup: exit code 3, signal 0\n");
    if needs_program("python3").is_some() {
        let starts = || fs::read_to_string(scratch.path("rules/parked/starts")).unwrap_or_default();
        for count in ["1\n", "2\n", "3\n"] {
            wait_until("it knows how often it was started", || starts() == count);
            said_so("parked", ", ready ");
            let reload = scratch.run("svc", &["--reload", "--wait=ready", "rules/parked"]);
            assert_eq!((reload.code, reload.err().as_str()), (0, ""));
            svc(&scratch, "-k", "rules/parked");
        }
    }
}

#[test]
fn an_init_ends_with_the_essential_service_of_the_examples() {
    let scratch = Scratch::new();
    copy(&scratch);
    scratch.write("rules/heart/broken", "");
    let mut command = scratch.command("svscan", &["--init", "--grace", "100000", "rules"]);
    assert_eq!(start(&mut command).end(), 7);
}
