//! Trees in which something of another package starts svscan already.

use std::fs;
use std::path::Path;

use super::tree::{INITS, Tree};

const UNIT: &str = "[Service]\nExecStart=/usr/bin/svscanboot /etc/service/\nRestart=always\n";
const SCRIPT: &str = "#!/bin/sh\n# svscan\ncase $1 in start) /command/svscanboot & ;; esac\n";

/// For an init: what Debian's daemontools-run, or somebody before it, had installed; and what starts it, with where that leads.
const RIVALS: [(&str, &str, &str, &str, &str); 4] = [
    (
        "systemd",
        "lib/systemd/system/daemontools-run.service",
        UNIT,
        "etc/systemd/system/multi-user.target.wants/daemontools-run.service",
        "/lib/systemd/system/daemontools-run.service",
    ),
    ("sysvinit", "etc/init.d/daemontools", SCRIPT, "etc/rc2.d/S20daemontools", "../init.d/daemontools"),
    ("systemd", "etc/init.d/daemontools", SCRIPT, "etc/rc5.d/S01daemontools", "../init.d/daemontools"),
    ("openrc", "etc/init.d/daemontools", SCRIPT, "etc/runlevels/default/daemontools", "/etc/init.d/daemontools"),
];

fn tree(init: &str) -> Tree {
    let (_, prepare) = INITS.into_iter().find(|(name, _)| *name == init).expect("it is known");
    let tree = Tree::new(prepare);
    tree.mkdir("etc/service");
    tree
}

fn is_there(tree: &Tree, path: &str) -> bool {
    fs::symlink_metadata(tree.path(path)).is_ok()
}

#[test]
fn what_starts_svscan_already_is_refused_and_ended_by_force_until_remove() {
    for (init, file, text, link, target) in RIVALS {
        let tree = tree(init);
        tree.write(file, text);
        tree.link(link, target);
        let before = tree.listing();
        let refused = tree.boot("install", &["--init", init]);
        let said = refused.err();
        let shown = if text == UNIT { file } else { link };
        assert_eq!(refused.code, 100, "{init}: {said}");
        assert!(said.ends_with(&format!("/{shown} starts svscan there already; --force ends that\n")), "{said}");
        assert_eq!(tree.listing(), before, "{init}");

        tree.boots("install", &["--init", init, "--force"]);
        if text == UNIT {
            let mask = fs::read_link(tree.path("etc/systemd/system/daemontools-run.service"));
            assert_eq!(mask.ok().as_deref(), Some(Path::new("/dev/null")));
        } else {
            assert!(!is_there(&tree, link), "{init}");
        }
        assert_eq!(tree.text(file), text, "{init}");
        let installed = tree.listing();
        tree.boots("install", &["--init", init]);
        assert_eq!(tree.listing(), installed, "{init}: a second time changes nothing");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{init}: it is back");
    }
}

#[test]
fn a_unit_of_the_administrator_is_put_aside_by_force_and_put_back() {
    let tree = tree("systemd");
    tree.write("etc/systemd/system/own.service", UNIT);
    tree.link("etc/systemd/system/multi-user.target.wants/own.service", "/etc/systemd/system/own.service");
    let before = tree.listing();
    assert_eq!(tree.boot("install", &[]).code, 100);
    tree.boots("install", &["--force"]);
    let mask = fs::read_link(tree.path("etc/systemd/system/own.service"));
    assert_eq!(mask.ok().as_deref(), Some(Path::new("/dev/null")));
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
}

#[test]
fn a_job_of_upstart_is_put_aside_by_force_and_put_back() {
    let tree = tree("upstart");
    tree.write("etc/init/daemontools.conf", "start on runlevel [2345]\nexec /command/svscanboot\n");
    let before = tree.listing();
    let refused = tree.boot("install", &[]);
    assert!(refused.err().contains("/etc/init/daemontools.conf starts svscan there already"), "{}", refused.err());
    tree.boots("install", &["--force"]);
    assert!(!is_there(&tree, "etc/init/daemontools.conf"));
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
}

#[test]
fn what_is_not_started_or_serves_another_directory_is_no_rival() {
    let tree = tree("systemd");
    let wants = "etc/systemd/system/multi-user.target.wants";
    // Not enabled, masked, on another directory, and about something else.
    tree.write("lib/systemd/system/daemontools-run.service", UNIT);
    tree.write("lib/systemd/system/masked.service", UNIT);
    tree.link(&format!("{wants}/masked.service"), "/lib/systemd/system/masked.service");
    tree.link("etc/systemd/system/masked.service", "/dev/null");
    tree.write("lib/systemd/system/other.service", "[Service]\nExecStart=/usr/bin/svscan /srv/service\n");
    tree.link(&format!("{wants}/other.service"), "/lib/systemd/system/other.service");
    tree.write(
        "lib/systemd/system/word.service",
        "[Unit]\nDescription=/usr/bin/svscan\n[Service]\nExecStart=/bin/true\n",
    );
    tree.link(&format!("{wants}/word.service"), "/lib/systemd/system/word.service");
    let before = tree.listing();
    tree.boots("install", &[]);
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
}
