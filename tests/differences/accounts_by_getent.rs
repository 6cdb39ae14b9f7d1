//! The original looks accounts up through libc, which asks the services that nsswitch.conf names. Ours reads the passwd file
//! first and asks `getent passwd NAME` for what is not there: libc loads these services as shared objects, which crashes
//! in a static program. The answer is the same wherever the passwd file comes first, as it mostly does.

use testkit::{Finished, Jail, finish};

/// A jail whose getent is this script.
fn jail(getent: &str) -> Option<Jail> {
    let jail = Jail::new(&["envuidgid"])?;
    jail.scratch().write("etc/passwd", "web:x:12:34::/:\n");
    jail.scratch().script("usr/bin/getent", getent);
    Some(jail)
}

fn look_up(jail: &Jail, name: &str) -> Finished {
    finish(&mut jail.command(&["/bin/envuidgid", name, "/bin/sh", "-c", "echo $UID $GID"]))
}

#[track_caller]
fn unknown(jail: &Jail, name: &str) {
    let ran = look_up(jail, name);
    let expected = format!("envuidgid: fatal: unknown account {name}\n");
    assert_eq!((ran.code, ran.out().as_str(), ran.err().as_str()), (111, "", expected.as_str()));
}

#[test]
fn an_account_that_is_not_in_the_file_is_asked_for() {
    let Some(jail) = jail("test \"$1,$2,$#\" = 'passwd,DOMAIN\\remote,2' && echo 'remote@domain:*:77:88:::'") else {
        return;
    };
    assert_eq!(look_up(&jail, "DOMAIN\\remote").out(), "77 88\n");
    unknown(&jail, "remote");
    assert_eq!(look_up(&jail, "web").out(), "12 34\n");
}

#[test]
fn getent_is_found_through_path_too() {
    let Some(jail) = jail("echo unused") else {
        return;
    };
    std::fs::remove_dir_all(jail.scratch().path("usr/bin")).expect("removable");
    unknown(&jail, "remote");
    jail.scratch().script("bin/getent", "echo remote:x:7:8:::");
    assert_eq!(look_up(&jail, "remote").out(), "7 8\n");
}

#[test]
fn only_a_whole_and_well_formed_answer_counts() {
    for answer in ["printf remote:x:7:8", "echo", "echo remote:x:7", "echo remote:x:7:x:", "exit 2", "kill -9 $$"] {
        let Some(jail) = jail(answer) else {
            return;
        };
        unknown(&jail, "remote");
    }
}

#[test]
fn getent_is_not_asked_for_what_it_takes_for_an_id_or_an_option() {
    let Some(jail) = jail("echo remote:x:7:8:::") else {
        return;
    };
    for name in ["0", "12", "+12", "-1", " 12", "", "-s", "--help", "#web", "+web"] {
        unknown(&jail, name);
    }
    assert_eq!(look_up(&jail, "12x").out(), "7 8\n");
}

#[test]
fn closed_descriptors_do_not_keep_getent_from_answering() {
    let Some(jail) = jail("echo remote:x:7:8:::") else {
        return;
    };
    let check = "exec /bin/envuidgid remote /bin/sh -c 'test $UID,$GID = 7,8 && ! test -e /proc/$$/fd/1'";
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"] {
        assert_eq!(finish(&mut jail.command(&["/bin/sh", "-c", &format!("{check} {closed}")])).code, 0, "{closed}");
    }
}
