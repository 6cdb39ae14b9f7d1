//! Look-ups of accounts and groups for a program that waits for nobody.
//!
//! A name that stands in no file is known to a service, such as LDAP, which may not answer for hours. So getent is asked in a child, and
//! its answer is waited for no longer than one takes that comes at all. What has not come by then is found by who asks again.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use machine::{SECOND, Tick};
use sys::{fd, poll};

use super::account::Database;
use super::tick;

/// An answer is waited for no longer, in nanoseconds.
const PATIENCE: u64 = SECOND / 20;
/// An answer holds for so long: who starts a service again looks up what has changed meanwhile.
const LASTS: u64 = 10 * SECOND;
/// Who has not answered by then is worth a word.
const LONG: u64 = 2 * SECOND;
/// No answer is longer.
const LONGEST: usize = 4096;

/// The look-ups that are under way, and the last answers.
#[derive(Default)]
pub struct LookUps(Vec<LookUp>);

struct LookUp {
    database: Database,
    name: Vec<u8>,
    since: Tick,
    state: State,
}

enum State {
    /// The answer that getent has begun, and where the rest comes from.
    Asked(OwnedFd, Vec<u8>),
    /// The id, if there is one, and until when that holds.
    Answered(Option<u32>, Tick),
}

impl LookUps {
    /// The id of `name`; `None` if there is none. The name is written as it stands in a file.
    ///
    /// # Errors
    /// If nobody has answered yet, in words; a timeout as long as that is nothing unusual. The name is looked up meanwhile, so it helps to ask
    /// again.
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
    /// Listens until the deadline. `None` if the answer has not come to its end.
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
                    // A signal ends the waiting, which is not for long anyway.
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
