//! Accounts in a directory with a passwd file of the test's own, which a program takes for the root directory.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Finished, Scratch, finish, needs_program, needs_root};

use crate::common::{printed, refused};

/// A root directory with a shell, envuidgid and the libraries that both need.
struct Jail {
    chroot: PathBuf,
    scratch: Scratch,
}

impl Jail {
    /// `None` where the test may not change its root; a line says so.
    fn new() -> Option<Jail> {
        if !needs_root() {
            return None;
        }
        let (chroot, ldd) = (needs_program("chroot")?, needs_program("ldd")?);
        let jail = Jail { chroot, scratch: Scratch::new() };
        let mut needed: BTreeSet<PathBuf> = BTreeSet::new();
        for (file, to) in [(jail.scratch.suite().path("envuidgid"), "bin/envuidgid"), ("/bin/sh".into(), "bin/sh")] {
            jail.copy(&file, to);
            let listed = finish(Command::new(&ldd).arg(&file)).out();
            needed.extend(listed.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from));
        }
        for library in needed.iter().filter(|library| library.is_file()) {
            jail.copy(library, library.strip_prefix("/").expect("it begins so"));
        }
        Some(jail)
    }

    /// By a program of its own: while this process had the copy open for writing, no other thread could execute it.
    fn copy(&self, from: &Path, to: impl AsRef<Path>) {
        let to = self.scratch.path(to);
        fs::create_dir_all(to.parent().expect("below the root")).expect("a directory");
        assert_eq!(finish(Command::new("cp").arg("-L").arg(from).arg(to)).code, 0);
    }

    /// The passwd file.
    fn passwd(&self, contents: impl AsRef<[u8]>) {
        self.scratch.write("etc/passwd", contents);
    }

    /// What envuidgid finds for `name`.
    fn look_up(&self, name: &str) -> Finished {
        let mut command = Command::new(&self.chroot);
        command.arg(self.scratch.root()).args(["/bin/envuidgid", name, "/bin/sh", "-c", "echo $UID $GID"]);
        finish(command.env("PATH", "/bin").current_dir("/"))
    }

    #[track_caller]
    fn finds(&self, name: &str, uid: u32, gid: u32) {
        printed(&self.look_up(name), &format!("{uid} {gid}\n"));
    }

    #[track_caller]
    fn lacks(&self, name: &str) {
        refused(&self.look_up(name), 111, &format!("envuidgid: fatal: unknown account {name}\n"));
    }
}

#[test]
fn the_first_well_formed_line_with_the_name_counts() {
    let Some(jail) = Jail::new() else {
        return;
    };
    jail.passwd("a:x:1:2::/:\nweb:x:12:34:Web:/srv:/bin/sh\nweb:x:5:6::/:\nshort:x:7:8\n \tblank::9:10:::::::\nmax:x:4294967294:4294967295");
    jail.finds("a", 1, 2);
    jail.finds("web", 12, 34);
    jail.finds("short", 7, 8);
    jail.finds("blank", 9, 10);
    jail.finds("max", 4_294_967_294, 4_294_967_295);
    for name in ["b", "we", "webb", "x", "12", "", " \tblank"] {
        jail.lacks(name);
    }
}

#[test]
fn malformed_lines_are_passed_over() {
    let Some(jail) = Jail::new() else {
        return;
    };
    for bad in
        ["web", "web:", "web:x", "web:x:1", "web:x::", "web:x:1:", "web:x::1:", "web:x:a:1::/:", "web:x:1:2x::/:"]
    {
        jail.passwd(format!("{bad}\n"));
        jail.lacks("web");
        jail.passwd(format!("{bad}\n\n:\n::::::\nweb:x:12:34::/:\n"));
        jail.finds("web", 12, 34);
    }
}

#[test]
fn comments_and_inclusions_are_no_accounts() {
    let Some(jail) = Jail::new() else {
        return;
    };
    jail.passwd("#web:x:1:1::/:\n  #web:x:1:1::/:\n+web:x:1:1::/:\n-web:x:1:1::/:\n+\n+::::::\nweb:x:2:2::/:\n");
    for name in ["#web", "+web", "-web", "+"] {
        jail.lacks(name);
    }
    jail.finds("web", 2, 2);
}

#[test]
fn bytes_of_any_kind_harm_nothing() {
    let Some(jail) = Jail::new() else {
        return;
    };
    let mut noise: Vec<u8> = (0..=255).collect();
    noise.extend_from_slice(b"\n\xff\xfe:\0:\n");
    noise.resize(300_000, b'x');
    noise.extend_from_slice(b"\nweb:\xff:12:34:\xc3\x28:/:\n");
    jail.passwd(&noise);
    jail.finds("web", 12, 34);
    jail.lacks("x");
}

#[test]
fn without_a_passwd_file_there_are_no_accounts() {
    let Some(jail) = Jail::new() else {
        return;
    };
    jail.lacks("root");
    jail.passwd("");
    jail.lacks("root");
    fs::remove_file(jail.scratch.path("etc/passwd")).expect("it is there");
    jail.scratch.mkdir("etc/passwd");
    jail.lacks("root");
}
