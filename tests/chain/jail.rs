//! Accounts in a directory with a passwd file of the test's own, which a program takes for the root directory.

use std::fs;

use testkit::{Finished, Jail, finish};

use super::common::{printed, refused};

/// Puts a passwd file into the jail.
fn passwd(jail: &Jail, contents: impl AsRef<[u8]>) {
    jail.scratch().write("etc/passwd", contents);
}

/// What envuidgid says in the jail for `name`.
fn look_up(jail: &Jail, name: &str) -> Finished {
    finish(&mut jail.command(&["/bin/envuidgid", name, "/bin/sh", "-c", "echo $UID $GID"]))
}

#[track_caller]
fn finds(jail: &Jail, name: &str, uid: u32, gid: u32) {
    printed(&look_up(jail, name), &format!("{uid} {gid}\n"));
}

#[track_caller]
fn lacks(jail: &Jail, name: &str) {
    refused(&look_up(jail, name), 111, &format!("envuidgid: fatal: unknown account {name}\n"));
}

#[test]
fn the_first_well_formed_line_with_the_name_counts() {
    let Some(jail) = Jail::new(&["envuidgid"]) else {
        return;
    };
    passwd(
        &jail,
        "a:x:1:2::/:\nweb:x:12:34:Web:/srv:/bin/sh\nweb:x:5:6::/:\nshort:x:7:8\n \tblank::9:10:::::::\nmax:x:4294967294:4294967295",
    );
    finds(&jail, "a", 1, 2);
    finds(&jail, "web", 12, 34);
    finds(&jail, "short", 7, 8);
    finds(&jail, "blank", 9, 10);
    finds(&jail, "max", 4_294_967_294, 4_294_967_295);
    for name in ["b", "we", "webb", "x", "12", "", " \tblank"] {
        lacks(&jail, name);
    }
}

#[test]
fn malformed_lines_are_passed_over() {
    let Some(jail) = Jail::new(&["envuidgid"]) else {
        return;
    };
    for bad in
        ["web", "web:", "web:x", "web:x:1", "web:x::", "web:x:1:", "web:x::1:", "web:x:a:1::/:", "web:x:1:2x::/:"]
    {
        passwd(&jail, format!("{bad}\n"));
        lacks(&jail, "web");
        passwd(&jail, format!("{bad}\n\n:\n::::::\nweb:x:12:34::/:\n"));
        finds(&jail, "web", 12, 34);
    }
}

#[test]
fn comments_and_inclusions_are_no_accounts() {
    let Some(jail) = Jail::new(&["envuidgid"]) else {
        return;
    };
    passwd(&jail, "#web:x:1:1::/:\n  #web:x:1:1::/:\n+web:x:1:1::/:\n-web:x:1:1::/:\n+\n+::::::\nweb:x:2:2::/:\n");
    for name in ["#web", "+web", "-web", "+"] {
        lacks(&jail, name);
    }
    finds(&jail, "web", 2, 2);
}

#[test]
fn bytes_of_any_kind_harm_nothing() {
    let Some(jail) = Jail::new(&["envuidgid"]) else {
        return;
    };
    let mut noise: Vec<u8> = (0..=255).collect();
    noise.extend_from_slice(b"\n\xff\xfe:\0:\n");
    noise.resize(300_000, b'x');
    noise.extend_from_slice(b"\nweb:\xff:12:34:\xc3\x28:/:\n");
    passwd(&jail, &noise);
    finds(&jail, "web", 12, 34);
    lacks(&jail, "x");
}

#[test]
fn without_a_passwd_file_there_are_no_accounts() {
    let Some(jail) = Jail::new(&["envuidgid"]) else {
        return;
    };
    lacks(&jail, "root");
    passwd(&jail, "");
    lacks(&jail, "root");
    fs::remove_file(jail.scratch().path("etc/passwd")).expect("it is there");
    jail.scratch().mkdir("etc/passwd");
    lacks(&jail, "root");
}
