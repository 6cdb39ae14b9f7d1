//! Trees in which something is in the way.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use testkit::{finish, needs_root};

use super::tree::{INITS, Tree};

fn tree(init: &str) -> Tree {
    let (_, prepare) = INITS.into_iter().find(|(name, _)| *name == init).expect("it is known");
    Tree::new(prepare)
}

/// Files that somebody else has where ours would be.
const FOREIGN: [(&str, &str, &str); 7] = [
    ("systemd", "etc/systemd/system/svscan.service", "[Unit]\nDescription=another\n"),
    ("systemd", "etc/systemd/system/multi-user.target.wants/svscan.service", "[Unit]\n"),
    ("sysvinit", "etc/init.d/svscan", "#!/bin/sh\necho another\n"),
    ("openrc", "etc/init.d/svscan", "#!/sbin/openrc-run\n"),
    ("upstart", "etc/init/svscan.conf", "exec svscan\n"),
    ("rc.d", "usr/local/etc/rc.d/svscan", "#!/bin/sh\n"),
    ("rc.d", "etc/rc.conf.d/svscan", "svscan_enable=NO\n"),
];

#[test]
fn what_exists_is_changed_by_force_only_and_put_back() {
    for (init, path, contents) in FOREIGN {
        let tree = tree(init);
        tree.write(path, contents);
        let before = tree.listing();
        let refused = tree.boot("install", &[]);
        assert_eq!(refused.code, 100, "{path}");
        let said = refused.err();
        assert!(said.contains(path) && said.contains("--force replaces it"), "{said}");
        assert_eq!(tree.listing(), before, "{path}: nothing is changed");
        tree.boots("install", &["--force"]);
        assert_ne!(fs::read_to_string(tree.path(path)).ok().as_deref(), Some(contents), "{path}");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{path}: it is back");
    }
}

#[test]
fn a_unit_that_is_masked_stays_masked_without_force() {
    let tree = tree("systemd");
    tree.link("etc/systemd/system/svscan.service", "/dev/null");
    let before = tree.listing();
    assert_eq!(tree.boot("install", &[]).code, 100);
    assert_eq!(tree.listing(), before);
    tree.boots("install", &["--force"]);
    assert!(tree.text("etc/systemd/system/svscan.service").contains("[Service]"));
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
}

#[test]
fn a_link_that_enables_somebody_elses_unit_stays() {
    let tree = tree("systemd");
    tree.write("etc/systemd/system/svscan.service", "[Unit]\n");
    tree.link("etc/systemd/system/multi-user.target.wants/svscan.service", "/etc/systemd/system/svscan.service");
    let before = tree.listing();
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
    tree.boots("install", &["--force"]);
    tree.boots("remove", &[]);
    assert_eq!(tree.listing(), before);
}

#[test]
fn another_scan_directory_needs_force_and_the_old_list_is_kept() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let before = tree.listing();
        tree.boots("install", &["--scan-dir", "/one"]);
        let installed = tree.listing();
        assert_eq!(tree.boot("install", &["--scan-dir", "/two"]).code, 100, "{init}");
        assert_eq!(tree.listing(), installed, "{init}");
        tree.boots("install", &["--scan-dir", "/two", "--force"]);
        assert!(tree.path("two").is_dir(), "{init}");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{init}");
    }
}

#[test]
fn an_inittab_keeps_everything_that_is_not_ours() {
    let endings = ["id:2:initdefault:", "id:2:initdefault:\n", "", "\n\n# \u{e9}\n", "a:1:wait:x\r\n"];
    for init in ["sysvinit", "busybox"] {
        for text in endings {
            let tree = tree(init);
            tree.write("etc/inittab", text);
            fs::set_permissions(tree.path("etc/inittab"), Permissions::from_mode(0o640)).expect("ours");
            let before = tree.listing();
            tree.boots("install", &["--init", init]);
            let with = tree.text("etc/inittab");
            assert!(with.contains("respawn:") && with.contains(text), "{init}: {with}");
            assert!(with.lines().any(|line| line.starts_with("SV:") || line.starts_with("::respawn:")), "{with}");
            assert_eq!(fs::metadata(tree.path("etc/inittab")).expect("a file").mode() & 0o777, 0o640);
            tree.boots("remove", &[]);
            assert_eq!(tree.listing(), before, "{init}: {text:?}");
        }
    }
}

#[test]
fn the_owner_of_an_inittab_stays_the_same() {
    if !needs_root() {
        return;
    }
    let tree = tree("sysvinit");
    chown(tree.path("etc/inittab"), Some(1), Some(1)).expect("root may");
    tree.boots("install", &[]);
    let there = fs::metadata(tree.path("etc/inittab")).expect("a file");
    assert_eq!((there.uid(), there.gid()), (1, 1));
}

#[test]
fn an_inittab_that_is_a_link_stays_one_and_leads_within_the_tree() {
    for target in ["/etc/real/inittab", "real/inittab", "../../../../../../etc/real/inittab"] {
        let tree = tree("openrc");
        tree.write("etc/real/inittab", "id:2:initdefault:\n");
        tree.link("etc/inittab", target);
        let before = tree.listing();
        tree.boots("install", &["--init", "sysvinit"]);
        assert_eq!(fs::read_link(tree.path("etc/inittab")).expect("a link"), Path::new(target));
        assert!(tree.text("etc/real/inittab").contains("SV:123456:respawn:"), "{target}");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{target}");
    }
}

#[test]
fn an_inittab_that_is_a_loop_of_links_is_said() {
    let tree = tree("openrc");
    tree.link("etc/inittab", "inittab");
    let before = tree.listing();
    let refused = tree.boot("install", &["--init", "busybox"]);
    assert_eq!(refused.code, 111);
    assert!(refused.err().ends_with("/etc/inittab: symbolic link loop\n"), "{}", refused.err());
    assert_eq!(tree.listing(), before);
}

#[test]
fn daemontools_own_line_is_put_aside_by_force_only() {
    for (init, line) in
        [("sysvinit", "SV:123456:respawn:/command/svscanboot\n"), ("busybox", "::respawn:/command/svscanboot\n")]
    {
        let tree = tree(init);
        tree.write("etc/inittab", line);
        let before = tree.listing();
        let refused = tree.boot("install", &["--init", init]);
        assert_eq!(refused.code, 100);
        assert!(refused.err().contains("a line there starts svscan"), "{}", refused.err());
        assert_eq!(tree.listing(), before);
        tree.boots("install", &["--init", init, "--force"]);
        assert!(!tree.text("etc/inittab").lines().any(|found| format!("{found}\n") == line));
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before);
    }
}

#[test]
fn busybox_without_an_inittab_keeps_the_one_that_is_built_in() {
    let tree = Tree::new(|tree| tree.link("sbin/init", "/bin/busybox"));
    let before = tree.listing();
    let refused = tree.boot("install", &[]);
    assert_eq!(refused.code, 111);
    assert!(refused.err().ends_with("/etc/inittab: file does not exist\n"), "{}", refused.err());
    assert_eq!(tree.listing(), before);
}

#[test]
fn what_fails_in_the_middle_is_undone() {
    for (init, obstacle) in [
        ("systemd", "etc/systemd/system"),
        ("sysvinit", "etc/rc0.d"),
        ("openrc", "etc/runlevels"),
        ("upstart", "service"),
        ("rc.d", "usr/local/etc/rc.d"),
        ("busybox", "service"),
    ] {
        let tree = tree(init);
        tree.write(obstacle, "a file where a directory is wanted");
        let before = tree.listing();
        let failed = tree.boot("install", &["--init", init]);
        assert_eq!(failed.code, 111, "{init}: {}", failed.out());
        assert!(failed.err().contains("fatal: unable to "), "{}", failed.err());
        assert_eq!(tree.listing(), before, "{init}");
    }
}

#[test]
fn a_tree_that_cannot_be_written_is_said() {
    if !needs_root() {
        return;
    }
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let before = tree.listing();
        // In a mount namespace of its own, so that nothing is left mounted.
        let script = "mount --bind \"$2\" \"$2\" && mount -o remount,bind,ro \"$2\" && \
             exec \"$1\" boot install --root \"$2\" --init \"$3\"";
        let program = testkit::Suite::under_test().path("uphold");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec", script, "sh"]);
        let failed = finish(command.arg(program).arg(tree.root()).arg(init));
        assert_eq!(failed.code, 111, "{init}: {}", failed.err());
        assert!(failed.err().ends_with(": read-only file system\n"), "{init}: {}", failed.err());
        assert_eq!(tree.listing(), before, "{init}");
    }
}

#[test]
fn a_link_that_was_put_in_the_place_of_the_scan_directory_stays() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        tree.mkdir("var");
        let before = tree.listing();
        tree.boots("install", &[]);
        fs::rename(tree.path("service"), tree.path("var/service")).expect("ours");
        tree.link("service", "/var/service");
        let said = tree.boots("remove", &[]);
        assert!(said.contains("/service, which is a link to /var/service\n"), "{init}: {said}");
        let after = tree.listing();
        let left: Vec<_> = after.keys().filter(|path| !before.contains_key(*path)).collect();
        assert_eq!(left, [&tree.path("service"), &tree.path("var/service")], "{init}");
    }
}

#[test]
fn what_a_link_leads_to_is_made_and_removed_and_the_link_stays() {
    for target in ["/var/sv/service", "var/sv/service"] {
        for (init, prepare) in INITS {
            let tree = Tree::new(prepare);
            tree.mkdir("var");
            tree.link("service", target);
            let before = tree.listing();
            tree.boots("install", &[]);
            assert!(tree.path("var/sv/service").is_dir(), "{init}");
            tree.boots("remove", &[]);
            assert_eq!(tree.listing(), before, "{init}");
        }
    }
}

#[test]
fn what_a_link_leads_to_is_not_made_if_its_name_cannot_be_noted() {
    let tree = tree("systemd");
    tree.link("service", "/a\nb");
    let before = tree.listing();
    assert_eq!(tree.boot("install", &[]).code, 100);
    assert_eq!(tree.listing(), before);
}

#[test]
fn what_force_has_saved_is_not_lost_to_another_force() {
    for (init, path, contents) in FOREIGN {
        let tree = tree(init);
        tree.write(path, contents);
        let before = tree.listing();
        tree.boots("install", &["--force"]);
        let ours = tree.root().with_file_name("ours");
        fs::rename(tree.path(path), &ours).expect("a file");
        tree.write(path, "the second");
        let second = tree.listing();
        let refused = tree.boot("install", &["--force"]);
        assert_eq!(refused.code, 100, "{path}: {}", refused.err());
        assert!(refused.err().contains(".uphold-saved, which --force has moved away before\n"), "{}", refused.err());
        assert_eq!(tree.listing(), second, "{path}: nothing is changed");
        fs::rename(ours, tree.path(path)).expect("a file");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{path}: the first is back");
    }
}

#[test]
fn paths_that_an_init_would_misread_are_refused() {
    let tree = tree("systemd");
    let before = tree.listing();
    for dir in ["service", "/a b", "/a%i", "/$HOME", "/a\nb", "/a:b", "/a'b", "/a\"b", "/a\\b", "/a#b"] {
        let refused = tree.boot("install", &["--scan-dir", dir]);
        assert_eq!(refused.code, 100, "{dir}");
        assert!(refused.err().contains("unable to use"), "{}", refused.err());
    }
    assert_eq!(tree.listing(), before);
}

#[test]
fn wrong_usage_changes_nothing() {
    let tree = tree("systemd");
    let before = tree.listing();
    for words in [&["--init", "launchd"][..], &["--init"], &["--scan-dir="], &["--what"], &["more"], &["--print=yes"]] {
        let refused = tree.boot("install", words);
        assert_eq!(refused.code, 100, "{words:?}");
        assert!(refused.err().contains("uphold boot: usage: "), "{}", refused.err());
    }
    assert_eq!(tree.boot("remove", &["--force"]).code, 100);
    assert_eq!(tree.boot("uninstall", &[]).code, 100);
    assert_eq!(tree.listing(), before);
}
