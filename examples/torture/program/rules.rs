//! What stands in the service directories beside `run`: the rules for its starts and for what follows its end. Nearly all of the services have one or more, by
//! their numbers, and only ours knows them.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Duration;

use sys::cgroup::Cgroup;

use super::hooks::{CONTROL, FINISH, HEALTH, KILL_MODE, NOTIFY, START, STOP, TREE};
use super::limits::{self, Limits};
use super::line::Micros;
use super::needs::SLOW;
use super::service::READY;
use super::site::{service_name, write_executable};
use super::stored;

/// So many ends that nobody asked for, in so much time, are too many.
const LIMIT: (usize, Duration) = (2, Duration::from_secs(10));
/// How much later than it was due an end may be noticed.
const LATELY: Micros = 10_000_000;
/// So many services have rules that differ; then they begin again.
const KINDS: usize = 20;
/// The directory that names what a service needs.
const DEPENDENCIES: &str = "dependencies.d";
/// The directory that names what it waits for if that is coming.
pub const WANTS: &str = "wants.d";
/// The file that says how long a service may take to get ready.
pub const LATE: &str = "timeout-ready";
/// The time in it.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// The rules of one service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// There is a `finish`. It does not end in time once in a while.
    pub finish: bool,
    /// The pace grows.
    pub backoff: bool,
    /// It may not end too often.
    pub limited: bool,
    /// KILL is the last end.
    pub finals: bool,
    /// There is a `health`.
    pub health: bool,
    /// Its deaths are kept.
    pub tally: bool,
    /// There are `start` and `stop`.
    pub scripts: bool,
    /// There are `control/t` and `notify`.
    pub asides: bool,
    /// What of it must have ended before it is started again; it has a helper.
    pub kill_mode: Option<&'static str>,
    /// It has to be ready in time, and once in a while it never is.
    pub late: bool,
    /// Descriptors are kept for it.
    pub parks: bool,
    /// The tree ends when it is down for good, which it never is.
    pub essential: bool,
    /// It takes some time to get ready.
    pub slow: bool,
    /// It needs or wants another service: the directory that names it, and the number of that service.
    pub needs: Option<(&'static str, usize)>,
    /// It has a cgroup with limits.
    pub limits: Option<Limits>,
    /// It is never replaced, so that its lives follow one another.
    pub steady: bool,
}

/// `tree` where a service can have a cgroup: elsewhere what has lost its parent before a takeover is missed, as the manual says.
fn tree() -> &'static str {
    let name = OsStr::new("uphold-torture");
    let can = Cgroup::own().is_ok_and(|own| own.make(name).is_ok() && own.remove(name).is_ok());
    if can { TREE } else { "mixed" }
}

impl Rules {
    /// The rules of the service with this number.
    pub fn of(number: usize) -> Rules {
        let none = Rules::default();
        match number % KINDS {
            1 => Rules { finish: true, steady: true, ..none },
            2 => Rules { backoff: true, ..none },
            3 => Rules { limited: true, ..none },
            4 => Rules { finals: true, ..none },
            5 => Rules { health: true, ..none },
            6 => Rules { finish: true, tally: true, steady: true, ..none },
            7 => Rules { finish: true, backoff: true, health: true, tally: true, ..none },
            8 => Rules { kill_mode: Some("mixed"), steady: true, ..none },
            9 => Rules { kill_mode: Some("group"), steady: true, ..none },
            10 => Rules { kill_mode: Some(tree()), steady: true, ..none },
            11 => Rules { scripts: true, steady: true, ..none },
            12 => Rules { asides: true, ..none },
            13 => Rules { limits: limits::possible(), ..none },
            14 => Rules { late: true, steady: true, ..none },
            15 => Rules { parks: true, ..none },
            16 => Rules { essential: true, ..none },
            17 => Rules { slow: true, steady: true, ..none },
            18 => Rules { needs: Some((DEPENDENCIES, number - 1)), steady: true, ..none },
            19 => Rules { needs: Some((WANTS, number - 2)), steady: true, ..none },
            _ => none,
        }
    }

    /// Writes them into a service directory; the programs are links in `root`.
    pub fn write(self, root: &Path, dir: &Path) -> std::io::Result<()> {
        let (times, within) = LIMIT;
        let knobs = [
            (self.finish, "timeout-finish", "700\n".to_owned()),
            (self.backoff, "backoff", "1500ms\n".to_owned()),
            (self.limited, "max-restarts", format!("{times}/{}s\n", within.as_secs())),
            (self.finals, "final-exits", "0,SIGKILL\n".to_owned()),
            (self.health, "health-interval", "1s\n".to_owned()),
            (self.tally, "max-death-tally", "4096\n".to_owned()),
            (self.kill_mode.is_some(), KILL_MODE, self.kill_mode.unwrap_or_default().to_owned()),
            (self.kill_mode.is_some(), "timeout-kill", "500ms\n".to_owned()),
            (self.late || self.slow, "notification-fd", format!("{READY}\n")),
            (self.late, LATE, format!("{}ms\n", PATIENCE.as_millis())),
            (self.slow, SLOW, String::new()),
            (self.parks, "sd-notify", String::new()),
            (self.parks, stored::KEEPS, "64\n".to_owned()),
            (self.essential, "essential", String::new()),
            // It never exits so.
            (self.essential, "final-exits", "77\n".to_owned()),
        ];
        for (_, name, contents) in knobs.iter().filter(|(there, ..)| *there) {
            fs::write(dir.join(name), contents)?;
        }
        if let Some((directory, number)) = self.needs {
            fs::create_dir(dir.join(directory))?;
            fs::write(dir.join(directory).join(service_name(number)), "")?;
        }
        if let Some(limits) = self.limits {
            limits.write(dir)?;
        }
        let scripts = [
            (self.finish, FINISH, FINISH),
            (self.health, HEALTH, HEALTH),
            (self.scripts, START, START),
            (self.scripts, STOP, STOP),
            (self.asides, "control/t", CONTROL),
            (self.asides, NOTIFY, NOTIFY),
        ];
        for (_, file, name) in scripts.iter().filter(|(there, ..)| *there) {
            let file = dir.join(file);
            fs::create_dir_all(file.parent().unwrap_or(dir))?;
            write_executable(&file, &format!("#!{} {name}\n", root.join(name).display()))?;
        }
        Ok(())
    }

    /// Whether these ends that nobody asked for, which lie in the past, explain that the service is over.
    pub fn explain(self, unasked: &[Micros], now: Micros) -> bool {
        let (times, within) = match self {
            Rules { limited: true, .. } => LIMIT,
            Rules { finals: true, .. } => (1, Duration::ZERO),
            _ => return false,
        };
        let first = unasked.len().checked_sub(times).map(|first| unasked[first]);
        first.is_some_and(|first| first + within.as_micros() as Micros + LATELY >= now)
    }
}
