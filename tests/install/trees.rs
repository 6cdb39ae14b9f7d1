//! Installing and removing for each init, where nothing is in the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testkit::{finish, needs_program};

use super::tree::{INITS, Tree};

#[test]
fn for_each_init_what_is_installed_is_removed_and_nothing_is_left() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let before = tree.listing();
        tree.boots("install", &["--init", init]);
        assert!(tree.path("service").is_dir(), "{init}");
        assert!(tree.listing().len() > before.len() + 1 || init == "busybox", "{init}");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{init}");
    }
}

#[test]
fn the_init_of_a_system_is_found() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let said = tree.boots("install", &[]);
        assert!(said.starts_with(&format!("init: {init}, since /")), "{said}");
        assert!(said.contains("/service\n"), "{said}");
        let by_name = Tree::new(prepare);
        by_name.boots("install", &["--init", init]);
        let names = |tree: &Tree| -> Vec<_> {
            let inside = |path: &std::path::PathBuf| path.strip_prefix(tree.root()).expect("below").to_path_buf();
            tree.listing().keys().map(inside).collect()
        };
        assert_eq!(names(&tree), names(&by_name), "{init}");
    }
    let none = Tree::new(|_| {});
    let refused = none.boot("install", &[]);
    assert_eq!(refused.code, 100);
    assert!(refused.err().contains("unable to find out which init"), "{}", refused.err());
}

#[test]
fn a_second_time_changes_nothing() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let before = tree.listing();
        tree.boots("install", &[]);
        let installed = tree.listing();
        let said = tree.boots("install", &[]);
        assert!(said.lines().skip(1).all(|line| line.starts_with("there already: ")), "{init}: {said}");
        assert_eq!(tree.listing(), installed, "{init}");
        tree.boots("remove", &["--init", init]);
        assert_eq!(tree.listing(), before, "{init}");
        assert!(tree.boots("remove", &[]).starts_with("nothing is installed"), "{init}");
    }
}

#[test]
fn print_shows_what_install_writes_and_changes_nothing() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        let before = tree.listing();
        let printed = tree.boots("install", &["--init", init, "--scan-dir", "/srv/sv", "--print"]);
        assert_eq!(tree.listing(), before, "{init}");
        tree.boots("install", &["--init", init, "--scan-dir=/srv/sv"]);
        let unmarked = |text: &str| -> Vec<String> {
            text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
        };
        for (path, (_, _, contents)) in tree.listing().into_iter().filter(|(path, _)| !before.contains_key(path)) {
            let there = fs::symlink_metadata(&path).expect("it is there");
            let name = format!("/{}", path.strip_prefix(tree.root()).expect("below").display());
            assert!(there.is_dir() || printed.contains(&format!("# {name}")), "{init}: {name} in {printed}");
            if there.is_file() {
                let text = String::from_utf8(contents).expect("text");
                let shown = unmarked(&printed).join("\n");
                let ours: Vec<String> = unmarked(&text).into_iter().filter(|line| !line.starts_with("id:")).collect();
                assert!(shown.contains(&ours.join("\n")), "{init}: {name}");
                assert!(text.contains("/srv/sv") || name.contains("rc.conf.d"), "{init}: {name}: {text}");
            }
        }
        assert!(printed.contains("/srv/sv") && !printed.contains("/service\n"), "{init}: {printed}");
    }
}

#[test]
fn a_scan_directory_that_existed_or_holds_something_stays() {
    for (init, prepare) in INITS {
        let tree = Tree::new(prepare);
        tree.mkdir("etc/service");
        let before = tree.listing();
        tree.boots("install", &[]);
        assert!(!tree.path("service").exists(), "{init}: Debian's directory is taken");
        tree.boots("remove", &[]);
        assert_eq!(tree.listing(), before, "{init}");
        tree.mkdir("service");
        let printed = tree.boots("install", &["--init", init, "--print"]);
        assert!(!printed.contains("/etc/service"), "{init}: only where it is the only one: {printed}");

        let tree = Tree::new(prepare);
        tree.boots("install", &[]);
        tree.mkdir("service/web");
        let said = tree.boots("remove", &[]);
        assert!(said.contains("/service, which is not empty\n"), "{init}: {said}");
        assert!(tree.path("service/web").is_dir(), "{init}");
    }
}

#[test]
fn the_usual_lines_stand_in_what_is_installed() {
    let lines = [
        ("systemd", "etc/systemd/system/svscan.service", "Restart=always\n"),
        ("systemd", "etc/systemd/system/svscan.service", "KillMode=process\n"),
        ("systemd", "etc/systemd/system/svscan.service", "IgnoreSIGPIPE=no\n"),
        ("sysvinit", "etc/inittab", "\nSV:123456:respawn:/"),
        ("sysvinit", "etc/init.d/svscan", "### BEGIN INIT INFO\n# Provides:          svscan\n"),
        ("openrc", "etc/runlevels/default/svscan", "#!/sbin/openrc-run\n"),
        ("upstart", "etc/init/svscan.conf", "\nrespawn\n"),
        ("rc.d", "usr/local/etc/rc.d/svscan", "\n. /etc/rc.subr\n"),
        ("busybox", "etc/inittab", "\n::respawn:/"),
    ];
    for (init, path, line) in lines {
        let (_, prepare) = INITS.into_iter().find(|(name, _)| *name == init).expect("it is known");
        let tree = Tree::new(prepare);
        if init == "openrc" {
            // The link in the runlevel is absolute, and leads to the script in the tree only for the tree itself.
            tree.boots("install", &[]);
            assert!(tree.text("etc/init.d/svscan").starts_with(line));
            assert_eq!(fs::read_link(tree.path(path)).expect("a link").to_str(), Some("/etc/init.d/svscan"));
            continue;
        }
        tree.boots("install", &[]);
        assert!(tree.text(path).contains(line), "{init}: {}", tree.text(path));
    }
}

#[test]
fn programs_are_named_that_lie_in_the_tree_whatever_lies_outside() {
    let (_, prepare) = INITS[0];
    let tree = Tree::new(prepare);
    let program = tree.program();
    let svscan = program.with_file_name("svscan");
    assert!(svscan.exists(), "here it lies beside");
    let inside = |path: &Path| path.strip_prefix("/").expect("absolute").to_str().expect("UTF-8").to_owned();
    tree.write(&inside(&program), "");
    tree.boots("install", &[]);
    let all_in_one = format!("ExecStart={} svscan --init", program.display());
    let unit = tree.text("etc/systemd/system/svscan.service");
    assert!(unit.contains(&all_in_one), "{unit}");
    tree.boots("remove", &[]);
    tree.write(&inside(&svscan), "");
    tree.boots("install", &[]);
    let unit = tree.text("etc/systemd/system/svscan.service");
    assert!(unit.contains(&format!("ExecStart={} --init", svscan.display())), "{unit}");
}

#[test]
fn scripts_are_executable_and_the_shell_can_read_them() {
    for (init, path) in
        [("sysvinit", "etc/init.d/svscan"), ("openrc", "etc/init.d/svscan"), ("rc.d", "usr/local/etc/rc.d/svscan")]
    {
        let (_, prepare) = INITS.into_iter().find(|(name, _)| *name == init).expect("it is known");
        let tree = Tree::new(prepare);
        tree.boots("install", &[]);
        let mode = fs::metadata(tree.path(path)).expect("a script").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{init}");
        let read = finish(std::process::Command::new("/bin/sh").arg("-n").arg(tree.path(path)));
        assert_eq!((read.code, read.err().as_str()), (0, ""), "{init}");
    }
}

#[test]
fn systemd_has_nothing_to_say_about_its_unit() {
    let Some(analyze) = needs_program("systemd-analyze") else { return };
    let (_, prepare) = INITS[0];
    let tree = Tree::new(prepare);
    tree.boots("install", &[]);
    let unit = tree.path("etc/systemd/system/svscan.service");
    let read = finish(std::process::Command::new(analyze).args(["verify", "--man=no"]).arg(unit));
    // Versions before 254 do not know that line, and go on without it; the unit says so.
    let unknown = "Unknown key 'DelegateSubgroup' in section [Service], ignoring.";
    let said = read.err();
    let lines = said.lines().filter(|line| line.contains("svscan.service") && !line.ends_with(unknown));
    let about_it: Vec<String> = lines.map(str::to_owned).collect();
    assert_eq!(about_it, Vec::<String>::new());
}
