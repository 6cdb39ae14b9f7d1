//! The table in `docs/deploy.md`: what each way to restart a server costs. Nothing is asserted.
//!
//!     cargo test --test real -- --ignored --nocapture measure
//!
//! REAL_MEASURE=waitress measures only the servers with that in their names.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use testkit::wait_until;

use crate::load::{Load, Options, Outcome, Tally, Target};
use crate::site::{Site, free_address, needs_server};

/// How often each server is restarted in each way.
const RESTARTS: usize = 20;

/// A server, and what it takes to start it.
struct Server {
    name: &'static str,
    service: &'static str,
    /// What is changed in `run`.
    edits: &'static [(&'static str, &'static str)],
    /// The same server opening its own sockets: on a TCP address, `TCP` in it, and on a Unix socket, `UNIX`.
    alone: Option<[&'static str; 2]>,
    /// How it tells hupwatch that it is ready.
    ready: &'static str,
}

const GUNICORN: &str = "../../venv/bin/gunicorn --no-control-socket app:app";
const UWSGI: &str = "../../venv/bin/uwsgi --master --processes 2 --threads 2 --enable-threads --need-app --module app:app \
                     --disable-logging --hook-master-start 'unix_signal:15 gracefully_kill_them_all'";

const SERVERS: [Server; 6] = [
    Server {
        name: "gunicorn, sync workers",
        service: "gunicorn",
        edits: &[],
        alone: Some(["GUNICORN --workers 2 --bind TCP", "GUNICORN --workers 2 --bind unix:UNIX"]),
        ready: "notify",
    },
    Server {
        name: "gunicorn, threads",
        service: "gunicorn",
        edits: &[("--workers 2", "--workers 2 --threads 4")],
        alone: Some([
            "GUNICORN --workers 2 --threads 4 --bind TCP",
            "GUNICORN --workers 2 --threads 4 --bind unix:UNIX",
        ]),
        ready: "notify",
    },
    Server {
        name: "waitress",
        service: "waitress",
        edits: &[],
        alone: Some([
            "../../venv/bin/waitress-serve --listen TCP app:app",
            "../../venv/bin/waitress-serve --unix-socket UNIX app:app",
        ]),
        ready: "fd:10",
    },
    Server {
        name: "uWSGI",
        service: "uwsgi",
        edits: &[("--http-socket fd://3", "--http-socket fd://3 --http-socket fd://4")],
        alone: Some(["UWSGI --http-socket TCP", "UWSGI --http-socket UNIX"]),
        ready: "notify",
    },
    Server { name: "Django, flup, lighttpd", service: "django", edits: &[], alone: None, ready: "fd:10" },
    Server { name: "server.rs", service: "rust", edits: &[], alone: None, ready: "fd:10" },
];

/// A way to restart it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Replace,
    Restart,
    RestartAlone,
    RestartAloneOnUnix,
    Hupwatch,
    OriginalHupwatch,
}

impl Method {
    const ALL: [Method; 6] = [
        Method::Replace,
        Method::Restart,
        Method::RestartAlone,
        Method::RestartAloneOnUnix,
        Method::Hupwatch,
        Method::OriginalHupwatch,
    ];

    const fn name(self) -> &'static str {
        match self {
            Method::Replace => "`svc -R`, `sockets/`",
            Method::Restart => "`svc -t`, `sockets/`",
            Method::RestartAlone | Method::RestartAloneOnUnix => "`svc -t`",
            Method::Hupwatch => "`hupwatch --listen`",
            Method::OriginalHupwatch => "hupwatch 0.0.3",
        }
    }
}

/// A server that is restarted in some way, and who is asked.
struct Trial {
    site: Site,
    service: &'static str,
    method: Method,
    targets: Vec<(&'static str, Target)>,
}

/// Starts it, if there is such a thing.
fn trial(server: &Server, method: Method, servers: &Path) -> Option<Trial> {
    let mut site = Site::new(Some(servers))?;
    let service = server.service;
    let run = format!("{service}/run");
    for (old, new) in server.edits {
        site.edit(&run, old, new);
    }
    let is_django = service == "django";
    let mut targets = vec![];
    let front = free_address();
    if is_django {
        site.edit("lighttpd/sockets/web", "127.0.0.1:8084", &front.to_string());
        site.edit("lighttpd/lighttpd.conf", "8084", &front.port().to_string());
        targets.push(("TCP", Target::Tcp(front)));
    } else {
        let [tcp, unix] = site.listen(service);
        targets.extend([("TCP", tcp), ("Unix", unix)]);
    }
    let sockets = site.scratch.path(service).join("sockets");
    match method {
        Method::Replace | Method::Restart => {}
        Method::RestartAlone | Method::RestartAloneOnUnix | Method::OriginalHupwatch => {
            let [on_tcp, on_unix] = server.alone?;
            std::fs::remove_dir_all(sockets).expect("it is there");
            let is_unix = method != Method::RestartAlone;
            let Target::Tcp(address) = targets[0].1 else { return None };
            targets.remove(usize::from(!is_unix));
            let words = if is_unix { on_unix } else { on_tcp };
            let words =
                words.replace("GUNICORN", GUNICORN).replace("UWSGI", UWSGI).replace("TCP", &address.to_string());
            let words = words.replace("UNIX", &site.scratch.path(service).join("web.sock").to_string_lossy());
            site.scratch.script(format!("{service}/serve"), &format!("cd -P current && exec {words}"));
            // Nothing but that it is up is known of such a server.
            for knob in ["sd-notify", "notification-fd"] {
                let _ = std::fs::remove_file(site.scratch.path(service).join(knob));
            }
            let hupwatch = servers.join("bin/hupwatch");
            let is_watched = method == Method::OriginalHupwatch;
            let before = if is_watched { format!("{} -vvvk -- ", hupwatch.display()) } else { String::new() };
            site.scratch.script(&run, &format!("exec 2>&1\nexec {before}./serve"));
        }
        Method::Hupwatch => {
            let listen = match (&targets[0].1, is_django) {
                (_, true) => "--listen unix:fcgi.sock,fd=0".to_owned(),
                (Target::Tcp(address), _) => format!("--listen tcp:{address} --listen unix:web.sock"),
                _ => return None,
            };
            std::fs::remove_dir_all(sockets).expect("it is there");
            for knob in ["sd-notify", "notification-fd"] {
                let _ = std::fs::remove_file(site.scratch.path(service).join(knob));
            }
            std::fs::rename(site.scratch.path(&run), site.scratch.path(service).join("serve")).expect("it is there");
            let line = format!("exec hupwatch -vvvk --ready-timeout 5m {listen} --ready {} -- ./serve", server.ready);
            site.scratch.script(&run, &format!("exec 2>&1\n{line}"));
        }
    }
    site.start(service);
    if is_django {
        site.start("lighttpd");
    }
    let trial = Trial { site, service, method, targets };
    wait_until("somebody listens", || trial.listens());
    Some(trial)
}

impl Trial {
    /// Whether somebody listens on all of its addresses.
    fn listens(&self) -> bool {
        self.targets.iter().all(|(_, target)| match target {
            Target::Tcp(address) => TcpStream::connect(address).is_ok(),
            Target::Unix(path) => UnixStream::connect(path).is_ok(),
        })
    }

    fn restart(&self) {
        let service = self.service;
        match self.method {
            Method::Replace => self.site.svc(&["-R", "--wait=replaced", service]),
            Method::Restart | Method::RestartAlone | Method::RestartAloneOnUnix => {
                let old = self.site.settled(service);
                self.site.svc(&["-t", service]);
                // A server may need long.
                let begin = Instant::now();
                while self.site.settled(service) == old && begin.elapsed() < Duration::from_secs(120) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                self.site.svc(&["--wait=ready", "--timeout=5m", service]);
            }
            Method::Hupwatch | Method::OriginalHupwatch => {
                let ends = || self.site.scratch.text(format!("{service}.out")).matches("HUP: <<<").count();
                let before = ends();
                self.site.svc(&["-h", service]);
                wait_until("the reload is over", || ends() > before);
            }
        }
        // Below the original the old copy may have removed the socket file of the new one; then nobody ever will.
        if self.method != Method::OriginalHupwatch {
            wait_until("somebody listens", || self.listens());
        }
        // A while of service between two restarts.
        std::thread::sleep(Duration::from_secs(1));
    }

    fn measure(&self) -> Vec<(&'static str, Tally)> {
        let start = |(name, target): &(&'static str, Target)| {
            let mut options = Options::new(target.clone());
            options.pause = Duration::from_millis(2);
            options.expect = "release ".to_owned();
            (*name, Load::start(&options))
        };
        let loads: Vec<_> = self.targets.iter().map(start).collect();
        // gunicorn and uWSGI can miss a TERM in the moment in which they have just started. That is not what is measured.
        std::thread::sleep(Duration::from_secs(2));
        (0..RESTARTS).for_each(|_| self.restart());
        loads.into_iter().map(|(name, load)| (name, load.finish())).collect()
    }
}

/// A line of the table.
fn row(server: &Server, method: Method, over: &str, tally: &Tally) -> String {
    let kinds = [
        (Outcome::Refused, "refused"),
        (Outcome::Reset, "reset"),
        (Outcome::Empty, "empty"),
        (Outcome::Wrong, "wrong"),
        (Outcome::Timeout, "timeout"),
        (Outcome::Other, "other"),
    ];
    let mut what = String::new();
    for (outcome, name) in kinds {
        if tally.count(outcome) > 0 {
            let _ = write!(what, "{}{} {name}", if what.is_empty() { "" } else { ", " }, tally.count(outcome));
        }
    }
    let (median, worst) = tally.latency();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    format!(
        "| {} | {} | {over} | {} | {} | {} | {what} | {:.0} | {:.0} |",
        server.name,
        method.name(),
        RESTARTS,
        tally.asked(),
        tally.failed(),
        milliseconds(median),
        milliseconds(worst),
    )
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

#[test]
#[ignore = "it measures and asserts nothing"]
fn measure() {
    let Some(servers) = needs_server("gunicorn") else { return };
    say("| server | restarted by | over | restarts | requests | failed | how | median ms | worst ms |");
    say("|---|---|---|--:|--:|--:|---|--:|--:|");
    let only = std::env::var("REAL_MEASURE").unwrap_or_default();
    for server in SERVERS.iter().filter(|server| server.name.contains(&only)) {
        for method in Method::ALL {
            let Some(trial) = trial(server, method, &servers) else { continue };
            for (over, tally) in trial.measure() {
                say(&row(server, method, over, &tally));
            }
        }
    }
}
