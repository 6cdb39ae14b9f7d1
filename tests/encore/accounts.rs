//! `setuidgid -s` and setuser: a program as another account, with all its groups.

use std::fs;
use std::process::Command;

use testkit::{Jail, Scratch, finish, needs_program, needs_root};

use super::{printed, refused};

const SETUIDGID: &str = "setuidgid: usage: setuidgid account child\n";

/// A jail in which `web` is an account with 65 groups beside its own.
fn jail() -> Option<Jail> {
    let id = needs_program("id")?;
    let jail = Jail::new(&["setuidgid", "setuser", id.to_str().expect("text")])?;
    jail.scratch().write("etc/passwd", "web:x:12:34::/srv:/bin/web\nlone:x:13:35::/:\nbare:x:14:36\n");
    let groups = (100..165).map(|gid| format!("g{gid}:x:{gid}:db,web\n")).collect::<String>();
    jail.scratch().write("etc/group", format!("others:x:7:webb,we\nweb:x:34:web\n{groups}+more:x:8:web\n"));
    Some(jail)
}

/// The groups that `setuidgid -s` leads to in the jail.
#[track_caller]
fn groups(jail: &Jail, account: &str) -> Vec<u32> {
    let ran = finish(&mut jail.command(&["/bin/setuidgid", "-s", account, "/bin/id", "-G"]));
    assert_eq!((ran.code, ran.err().as_str()), (0, ""));
    let mut gids: Vec<u32> = ran.out().split_whitespace().map(|gid| gid.parse().expect("an id")).collect();
    gids.sort_unstable();
    gids
}

#[test]
fn an_account_has_all_its_groups() {
    let Some(jail) = jail() else { return };
    let many: Vec<u32> = [34].into_iter().chain(100..165).collect();
    assert_eq!((groups(&jail, "web"), groups(&jail, "lone")), (many.clone(), vec![35]));
    let ids =
        finish(&mut jail.command(&["/bin/setuidgid", "-s", "web", "/bin/sh", "-c", "id -u; id -ru; id -g; id -rg"]));
    printed(&ids, "12\n12\n34\n34\n");
    printed(&finish(&mut jail.command(&["/bin/setuidgid", "web", "/bin/id", "-G"])), "34\n");
    // Groups that are kept elsewhere count too. An answer that is not whole does not.
    jail.scratch()
        .script("usr/bin/getent", "test $1,$2,$# = initgroups,lone,2 && echo 'lone                  35 9 70000'");
    assert_eq!((groups(&jail, "lone"), groups(&jail, "web")), (vec![9, 35, 70000], many));
    for answer in ["printf 'lone 35 9'", "echo lone 35 x", "kill -9 $$", "echo"] {
        jail.scratch().script("usr/bin/getent", answer);
        assert_eq!(groups(&jail, "lone"), [35], "{answer}");
    }
    fs::remove_file(jail.scratch().path("etc/group")).expect("it is there");
    assert_eq!(groups(&jail, "web"), [34]);
}

#[test]
fn s_is_an_option_only_in_front() {
    let scratch = Scratch::new();
    for words in [&["-s"][..], &["-s", "root"], &["-s", "--"], &["-ss", "-s", "root"]] {
        refused(&scratch.run("setuidgid", words), 100, SETUIDGID);
    }
    refused(
        &scratch.run("setuidgid", &["-sx", "root", "true"]),
        100,
        &format!("setuidgid: illegal option -- x\n{SETUIDGID}"),
    );
    for (words, account) in [
        (&["-s", "nosuch", "true"][..], "nosuch"),
        (&["-s", "0", "true"], "0"),
        (&["-s", "--", "-s", "true"], "-s"),
        (&["nosuch", "-s", "true"], "nosuch"),
        (&["-x", "-s", "root", "true"], "-x"),
        (&["--", "-s", "root", "true"], "--"),
    ] {
        refused(&scratch.run("setuidgid", words), 111, &format!("setuidgid: fatal: unknown account {account}\n"));
    }
}

#[test]
fn only_root_may_change_groups() {
    let scratch = Scratch::new();
    let ran = finish(&mut scratch.ordinary("setuidgid", &["-s", "root", "true"]));
    refused(&ran, 111, "setuidgid: fatal: unable to setgid: permission denied\n");
    let Some(setpriv) = needs_root().then(|| needs_program("setpriv")).flatten() else { return };
    let mut command = Command::new(setpriv);
    command.arg("--bounding-set=-setuid").arg(scratch.suite().path("setuidgid")).args(["-s", "daemon", "true"]);
    refused(&finish(&mut command), 111, "setuidgid: fatal: unable to setuid: permission denied\n");
}

#[test]
fn setuser_gives_an_account_its_home_and_its_environment() {
    let Some(jail) = jail() else { return };
    jail.scratch().mkdir("srv");
    let run = |account: &str, script: &str| {
        let mut command = jail.command(&["/bin/setuser", account, "/bin/sh", "-c", script]);
        finish(command.env("HOME", "/root").env("USER", "root").env("UID", "0").env("KEPT", "k"))
    };
    let show = "echo $HOME $SHELL $USER $GID $UID $KEPT; pwd; id -u; id -ru; id -g; id -rg; id -G";
    let many = (100..165).map(|gid| format!(" {gid}")).collect::<String>();
    printed(&run("web", show), &format!("/srv /bin/web web 34 12 k\n/srv\n12\n12\n34\n34\n34{many}\n"));
    printed(&run("lone", "echo $HOME,$SHELL,$USER; pwd"), "/,,lone\n/\n");
    refused(&run("bare", "true"), 111, "setuser: fatal: unable to chdir to : file does not exist\n");
    fs::remove_dir(jail.scratch().path("srv")).expect("it is empty");
    refused(&run("web", "true"), 111, "setuser: fatal: unable to chdir to /srv: file does not exist\n");
    // An account that is kept elsewhere may have a longer name there.
    jail.scratch().script("usr/bin/getent", "test $1 = passwd && echo 'far@away:x:7:8:F, G:/etc:/bin/far'");
    printed(&run("far", "echo $HOME $SHELL $USER $GID $UID; pwd; id -G"), "/etc /bin/far far@away 8 7\n/etc\n8\n");
}

#[test]
fn setuser_says_what_is_wrong() {
    let scratch = Scratch::new();
    for words in [&[][..], &["root"], &["--"]] {
        refused(&scratch.run("setuser", words), 100, "setuser: usage: setuser account child\n");
    }
    for account in ["nosuch", "0", "", "-s", "--", "+root"] {
        let line = format!("setuser: fatal: unknown account {account}\n");
        refused(&scratch.run("setuser", &[account, "true"]), 111, &line);
    }
    let ran = finish(&mut scratch.ordinary("setuser", &["daemon", "true"]));
    refused(&ran, 111, "setuser: fatal: unable to setgid: permission denied\n");
    if needs_root() {
        refused(
            &scratch.run("setuser", &["daemon", "./nosuch"]),
            111,
            "setuser: fatal: unable to run ./nosuch: file does not exist\n",
        );
    }
}
