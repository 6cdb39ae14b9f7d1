//! Deploys that go wrong, under load: one copy serves on, no request is lost, and the reason is said.

use std::collections::BTreeSet;

use testkit::wait_until;

use crate::load::{Load, Target};
use crate::site::{PATIENCE, Site, finish, load, wait_for_answers};

/// A site whose releases bring a command of their own; release 1 is as it should be.
fn site() -> Option<Site> {
    let site = Site::new(None)?;
    site.scratch.script("rust/run", "exec 2>&1\ncd -P current && exec ./start");
    release(&site, "1", &Site::server("page"));
    Some(site)
}

fn release(site: &Site, name: &str, start: &str) {
    site.scratch.script(format!("releases/{name}/start"), start);
    site.scratch.write(format!("releases/{name}/page"), format!("release {name}\n"));
}

/// Who answers now.
fn answering(site: &Site, loads: &[Load], targets: &[Target]) -> BTreeSet<String> {
    wait_for_answers(loads);
    let probes = load(targets);
    wait_for_answers(&probes);
    let tallies = probes.into_iter().map(Load::finish);
    let answers = tallies.flat_map(|tally| {
        assert_eq!(tally.failed(), 0, "{}\n{}", tally.table(), site.logs());
        tally.answers().keys().cloned().collect::<Vec<_>>()
    });
    answers.collect()
}

#[test]
fn a_release_that_does_not_get_there_is_given_up_and_no_request_is_lost() {
    let Some(mut site) = site() else { return };
    let targets = site.listen("rust");
    site.start("rust");
    let own = site.settled("rust");
    let loads = load(&targets);
    let mut lines = 0;
    for (start, patience, why) in [
        ("exit 3", PATIENCE, "exited 3 before it was ready"),
        ("sleep 0.5; exit 4", PATIENCE, "exited 4 before it was ready"),
        ("exec ./missing", PATIENCE, "exited 127 before it was ready"),
        ("exec sleep 1000", "500ms", "was not ready in time"),
        ("trap '' TERM; while :; do sleep 1000; done", "500ms", "was not ready in time"),
        ("exec 3>&- 4>&-; exit 5", PATIENCE, "exited 5 before it was ready"),
        ("exec 3>&- 4>&-; exec sleep 1000", "500ms", "was not ready in time"),
        ("sleep 1000 & exit 0", PATIENCE, "exited 0 before it was ready, and must stay in the foreground"),
    ] {
        release(&site, "bad", start);
        site.scratch.write("rust/timeout-ready", patience);
        // What a new copy that ignores TERM needs.
        site.scratch.write("rust/timeout-kill", if patience == PATIENCE { PATIENCE } else { "300ms" });
        let said = site.deploy("rust", "bad");
        assert!(said.contains("deploy: rust stays with "), "{start}: {said}");
        assert_eq!(site.settled("rust"), own, "{start}");
        let log = site.scratch.text("rust.err");
        let new: Vec<&str> = log.lines().skip(lines).collect();
        lines += new.len();
        let told = "supervise: warning: unable to replace rust, going on as before: pid ";
        let is_told = new[0].starts_with(told) && new[0].ends_with(&format!(" {why}"));
        // Any process may be too slow for the short time.
        let killed = "supervise: warning: unable to end rust in time, killing pid ";
        let is_killed = new[1..].iter().all(|line| line.starts_with(killed));
        assert!(is_told && is_killed && (new.len() > 1 || !start.contains("trap")), "{start}: {new:?}");
        assert_eq!(answering(&site, &loads, &targets), BTreeSet::from(["release 1".to_owned()]), "{start}");
    }
    finish(loads, &site);
}

#[test]
fn an_old_copy_that_closes_its_sockets_and_stays_is_killed_and_the_new_one_serves() {
    let Some(mut site) = site() else { return };
    release(&site, "1", &format!("REAL_STAY=1 {}", Site::server("page")));
    release(&site, "2", &Site::server("page"));
    let targets = site.listen("rust");
    site.start("rust");
    let old = site.settled("rust");
    let loads = load(&targets);
    wait_for_answers(&loads);
    site.scratch.write("rust/timeout-kill", "2s");
    assert_eq!(site.deploy("rust", "2"), "", "{}", site.logs());
    assert_ne!(site.settled("rust"), old);
    assert!(!std::path::Path::new(&format!("/proc/{old}")).exists());
    let line = format!("supervise: warning: unable to end rust in time, killing pid {old}\n");
    assert_eq!(site.scratch.text("rust.err"), line);
    assert_eq!(answering(&site, &loads, &targets), BTreeSet::from(["release 2".to_owned()]));
    finish(loads, &site);
}

#[test]
fn a_release_that_dies_after_it_was_ready_is_started_again_and_can_be_rolled_back() {
    let Some(mut site) = site() else { return };
    release(&site, "bad", "echo >/dev/fd/10; exit 1");
    let targets = site.listen("rust");
    site.start("rust");
    let loads = load(&targets);
    wait_for_answers(&loads);
    assert_eq!(site.deploy("rust", "bad"), "", "it did say that it is ready");
    wait_until("it is started again and again", || {
        site.scratch.run("svstat", &["--long", "rust"]).out().contains("exited 1")
    });
    site.switch("rust", "1");
    wait_for_answers(&loads);
    // Requests have waited meanwhile, and got their answer.
    finish(loads, &site);
}
