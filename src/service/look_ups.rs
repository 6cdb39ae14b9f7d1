//! Look-ups of accounts and groups for a program that must not wait for a name service.
//!
//! A name that is in no file may be known to a name service such as LDAP, which may not answer for hours. So getent is asked in a child,
//! and this program waits only for as long as an answer usually takes. A later answer is found by the next call.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use machine::{SECOND, Tick};
use sys::{fd, poll};

use super::account::Database;
use super::tick;

/// How long a call waits for an answer, in nanoseconds.
const PATIENCE: u64 = SECOND / 20;
/// How long an answer is used, in nanoseconds. After that the name is looked up again, since it may have changed.
const LASTS: u64 = 10 * SECOND;
/// How long a look-up may go on before the error says so instead of being a timeout, in nanoseconds.
const LONG: u64 = 2 * SECOND;
/// The longest answer, in bytes.
const LONGEST: usize = 4096;

/// The look-ups in progress, and the last answers.
#[derive(Default)]
pub struct LookUps(Vec<LookUp>);

struct LookUp {
    database: Database,
    name: Vec<u8>,
    since: Tick,
    state: State,
}

enum State {
    /// getent was asked: the descriptor of its stdout, and what it has written so far.
    Asked(OwnedFd, Vec<u8>),
    /// The id, if there is one, and the time until which it is used.
    Answered(Option<u32>, Tick),
}

impl LookUps {
    /// Looks up the id of `name`; `None` if there is none. `name` is as in the configuration file.
    ///
    /// # Errors
    /// If there is no answer yet: a timeout at first, and a text when the look-up takes unusually long. The look-up goes on meanwhile, so call
    /// this again later.
    pub fn id(&mut self, database: Database, name: &[u8]) -> io::Result<Option<u32>> {
        let now = tick();
        self.0.retain(|look_up| !matches!(look_up.state, State::Answered(_, until) if until <= now));
        if let Some(id) = database.id_in_file(OsStr::from_bytes(name)) {
            return Ok(Some(id));
        }
        let found = self.0.iter().position(|look_up| look_up.database == database && look_up.name == name);
        let at = match found {
            Some(at) => at,
            None => {
                let Some(reader) = database.ask(OsStr::from_bytes(name)) else {
                    return Ok(None);
                };
                fd::set_nonblocking(reader.as_fd())?;
                self.0.push(LookUp {
                    database,
                    name: name.into(),
                    since: now,
                    state: State::Asked(reader, Vec::new()),
                });
                self.0.len() - 1
            }
        };
        let look_up = &mut self.0[at];
        look_up.listen(now.after(PATIENCE)).ok_or_else(|| {
            let kind = if look_up.since.until(now) < LONG { io::ErrorKind::TimedOut } else { io::ErrorKind::Other };
            let why = format!("{} {} is still being looked up", database.noun(), name.escape_ascii());
            io::Error::new(kind, why)
        })
    }
}

impl LookUp {
    /// Reads the answer until the deadline. `None` if the answer is not complete then.
    fn listen(&mut self, deadline: Tick) -> Option<Option<u32>> {
        let State::Asked(reader, answer) = &mut self.state else {
            return self.answer();
        };
        loop {
            let mut bytes = [0; 256];
            match fd::read(reader.as_fd(), &mut bytes) {
                Ok(count) if count > 0 && answer.len() < LONGEST => answer.extend(bytes.get(..count)?),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let left = tick().until(deadline);
                    // A signal ends the wait early, which does no harm: it is short anyway.
                    if left == 0 || poll::readable([reader.as_fd()], Some(left)).is_ok_and(|[readable]| !readable) {
                        return None;
                    }
                }
                Ok(_) | Err(_) => {
                    let id = self.database.id_in_answer(answer);
                    self.state = State::Answered(id, tick().after(LASTS));
                    return self.answer();
                }
            }
        }
    }

    fn answer(&self) -> Option<Option<u32>> {
        match self.state {
            State::Answered(id, _) => Some(id),
            State::Asked(..) => None,
        }
    }
}
