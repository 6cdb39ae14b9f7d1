//! Eight gunicorns are restarted one after another under load, on one address and behind a proxy: no request fails, and a broken one ends it.

use std::fmt::Write as _;
use std::process::Stdio;

use crate::load::Target;
use crate::site::{PATIENCE, Site, finish, free_address, load, needs_server, wait_for_answers};

const COPIES: usize = 8;

fn copy(number: usize) -> String {
    format!("gunicorn@{number}")
}

/// Eight copies of the service; each gets its socket from `socket`.
fn copies(site: &mut Site, socket: impl Fn(&Site, &str)) {
    site.edit("gunicorn/run", "--workers 2", "--workers 1");
    for name in (1..=COPIES).map(copy) {
        site.copy("gunicorn", &name);
        socket(site, &name);
        site.start(&name);
    }
}

/// Types a word with `--rolling` for all copies, each of which has so long. Returns the exit code, and the lines on stdout and on stderr.
fn roll(site: &Site, word: &str, timeout: &str) -> (i32, Vec<String>, Vec<String>) {
    let words = ["-C", ".", word, "--rolling", "--timeout", timeout, "gunicorn@*"];
    let mut command = site.scratch.command("uphold", &words);
    let rolled = testkit::finish(command.stdin(Stdio::null()));
    let lines = |text: String| text.lines().map(str::to_owned).collect();
    (rolled.code, lines(rolled.out()), lines(rolled.err()))
}

/// Restarts and replaces all of them while clients ask; then the third cannot start any more.
fn rolls_without_losing_a_request(site: &Site, targets: &[Target]) {
    let pids = || (1..=COPIES).map(|number| site.settled(&copy(number))).collect::<Vec<_>>();
    let loads = load(targets);
    wait_for_answers(&loads);
    for word in ["restart", "replace"] {
        let before = pids();
        let (code, out, err) = roll(site, word, PATIENCE);
        assert_eq!((code, out.len(), err.as_slice()), (0, COPIES, &[][..]), "{out:?} {}", site.logs());
        assert!(pids().iter().zip(before).all(|(new, old)| *new != old), "{word} {out:?}");
        wait_for_answers(&loads);
    }
    site.scratch.write("releases/broken/app.py", "import nothing_of_this_name\n");
    site.switch(&copy(3), "broken");
    // The third is as it was, or is started again and again until it is mended.
    for (word, timeout, not) in [("replace", PATIENCE, "not replaced"), ("restart", "20s", "not ready")] {
        let before = pids();
        let (code, out, err) = roll(site, word, timeout);
        assert_eq!((code, out.len(), err.len()), (1, 2, 2), "{out:?} {err:?}");
        assert!(err[0].starts_with(&format!("gunicorn@3: {not}: ")), "{err:?}");
        let untouched: Vec<String> = (4..=COPIES).map(copy).collect();
        assert_eq!(err[1], format!("uphold {word}: not touched: {}", untouched.join(" ")));
        if word == "restart" {
            site.switch(&copy(3), "1");
            site.svc(&["--wait=ready", "--timeout=5m", &copy(3)]);
        }
        for (number, (old, new)) in (1..).zip(before.into_iter().zip(pids())) {
            assert_eq!(old == new, number > 3 || (number, word) == (3, "replace"), "{number} {word}");
        }
    }
    wait_for_answers(&loads);
    finish(loads, site);
}

#[test]
fn eight_gunicorns_that_share_one_set_of_sockets() {
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    let address = free_address();
    site.scratch.write("listeners/web", format!("tcp {address} reuseport\n"));
    copies(&mut site, |site, name| {
        let own = site.scratch.path(name).join("sockets");
        std::fs::remove_dir_all(&own).expect("the example has sockets");
        std::os::unix::fs::symlink("../listeners", own).expect("a link");
    });
    rolls_without_losing_a_request(&site, &[Target::Tcp(address)]);
}

#[test]
fn eight_gunicorns_behind_a_proxy() {
    if testkit::needs_program("lighttpd").is_none() {
        return;
    }
    let Some(mut site) = needs_server("gunicorn").and_then(|servers| Site::new(Some(&servers))) else { return };
    let address = free_address();
    site.edit("lighttpd/sockets/web", "127.0.0.1:8084", &address.to_string());
    let mut conf = format!(
        "server.modules = ( \"mod_proxy\" )\nserver.systemd-socket-activation = \"enable\"\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
         server.document-root = \"/var/empty\"\nproxy.balance = \"round-robin\"\nproxy.server = ( \"\" => (\n",
        address.port()
    );
    for name in (1..=COPIES).map(copy) {
        let socket = site.scratch.path(name).join("web.sock");
        let _ = writeln!(conf, "( \"host\" => \"{}\", \"disable-time\" => 0 ),", socket.display());
    }
    site.scratch.write("lighttpd/lighttpd.conf", conf + ") )\n");
    copies(&mut site, |site, name| drop(site.scratch.write(format!("{name}/sockets/web"), "unix web.sock\n")));
    site.start("lighttpd");
    rolls_without_losing_a_request(&site, &[Target::Tcp(address)]);
}
