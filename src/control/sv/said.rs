//! What sv says about each service on stdout, in the words of runit's sv, and how many of the services have failed.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use cli::{Text, print_error, reason, text};
use svdir::{Run, Status, Want, names};

use crate::service::now;

/// That nobody reads the commands of a service.
const NOT_RUNNING: &str = "runsv not running";

/// Counts what was said about failures.
#[derive(Default)]
pub struct Said {
    failures: usize,
    /// A line was begun.
    begun: Text,
}

impl Said {
    /// The exit code: how many have failed, as far as sv counts.
    pub fn code(&self) -> u8 {
        u8::try_from(self.failures.min(99)).unwrap_or(99)
    }

    /// Begins a line with the status of the service in the current directory, or goes on with one.
    pub fn add(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.begun.0.extend_from_slice(piece);
        }
    }

    /// Ends the line, and prints it.
    pub fn end_line(&mut self) {
        let Text(mut line) = std::mem::take(&mut self.begun);
        line.push(b'\n');
        // If stdout cannot be written, there is nobody to tell.
        let _ = sys::fd::write_all(sys::fd::stdout(), &line);
    }

    /// Counts a failure.
    pub fn count(&mut self) {
        self.failures += 1;
    }

    /// Says that nothing could be done about a service.
    pub fn fail(&mut self, name: &OsStr, what: &str, error: Option<&io::Error>) {
        self.tell("fail: ", name, what, error.map(reason).as_deref());
        self.count();
    }

    /// Says that something is wrong with a service.
    pub fn warn(&mut self, name: &OsStr, what: &str, why: &str) {
        self.tell("warning: ", name, what, Some(why));
        self.count();
    }

    /// Says that no supervise runs, which is as it should be if `exits`.
    pub fn tell_not_running(&mut self, name: &OsStr, exits: bool) {
        if exits {
            self.tell("ok: ", name, NOT_RUNNING, None);
        } else {
            self.fail(name, NOT_RUNNING, None);
        }
    }

    fn tell(&mut self, level: &str, name: &OsStr, what: &str, why: Option<&str>) {
        self.add(&[level.as_bytes(), name.as_bytes(), b": ", what.as_bytes()]);
        if let Some(why) = why {
            self.add(&[b": ", why.as_bytes()]);
        }
        self.end_line();
    }
}

/// Says on stderr what concerns a file of a service, and counts for nothing.
pub fn warn_of_file(verb: &str, service: &OsStr, file: &str, error: &io::Error) {
    let Text(line) = text!("warning: unable to ", verb, " ", service, "/", file, ": ", reason(error).as_ref(), "\n");
    print_error(&line);
}

/// The status of the service of the current directory, which is called `name`, and whose messages are about `service`. `None` if it is not known whether it is normally up;
/// that was said then.
pub fn line(status: &Status, name: &OsStr, service: &OsStr) -> Option<Text> {
    let normally_up = match std::fs::metadata(Path::new(names::DOWN)) {
        Ok(_) => false,
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => {
            warn_of_file("stat", service, names::DOWN, &error);
            return None;
        }
    };
    Some(describe(status, name, normally_up, status.since.age(now())))
}

fn describe(status: &Status, name: &OsStr, normally_up: bool, seconds: u64) -> Text {
    let Status { pid, run, paused, want, got_term, .. } = *status;
    let state = match run {
        Run::Down => "down: ",
        Run::Run => "run: ",
        Run::Finish => "finish: ",
        Run::Other(_) => "",
    };
    let mut line = text!(state, name, ": ");
    if run != Run::Down {
        line.add(&[&"(pid ", &pid.map_or(0, |pid| u64::from(pid.get())), &") "]);
    }
    line.add(&[&seconds, &"s"]);
    let clauses = match pid {
        // Once, too, is shown as down: that is what follows.
        Some(_) => [
            (!normally_up, ", normally down"),
            (paused, ", paused"),
            (want != Want::Up, ", want down"),
            (got_term, ", got TERM"),
        ],
        None => [(normally_up, ", normally up"), (want == Want::Up, ", want up"), (false, ""), (false, "")],
    };
    for (holds, clause) in clauses {
        line.add(&[&if holds { clause } else { "" }]);
    }
    line
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    #[test]
    fn the_line_is_runits() {
        let line = |status: Status, normally_up| describe(&status, OsStr::new("web"), normally_up, 5).to_string();
        let up = Status { pid: NonZeroU32::new(7), run: Run::Run, ..Status::default() };
        assert_eq!(line(up, true), "run: web: (pid 7) 5s");
        let all = Status { paused: true, got_term: true, want: Want::Down, ..up };
        assert_eq!(line(all, false), "run: web: (pid 7) 5s, normally down, paused, want down, got TERM");
        assert_eq!(line(Status { run: Run::Finish, ..up }, true), "finish: web: (pid 7) 5s");
        let down = Status { want: Want::Down, ..Status::default() };
        assert_eq!(line(down, false), "down: web: 5s");
        assert_eq!(line(Status::default(), true), "down: web: 5s, normally up, want up");
        assert_eq!(line(Status { want: Want::Once, ..up }, true), "run: web: (pid 7) 5s, want down");
    }
}
