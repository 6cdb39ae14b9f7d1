//! Upgrade in place: a program executes its new file, and hands over its state and its descriptors. It stays the same process, with the
//! same children.
//!
//! Before that, the new file is run in a child and asked whether it understands the state. It answers by an exit code that no other program
//! would give. The question is such that the original's programs, and older ones of ours, refuse it at once. So whatever the new file is,
//! the old program goes on unless the new one can go on from its state.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use cli::{Call, Text, Voice, text};
use machine::{Pid, SECOND, Tick};
use sys::exec::{Prepared, c_string};
use sys::process::{self, Change, Signal};
use sys::signals::Signals;
use sys::{environ, sealed};

use super::tick;

/// The variable that names the descriptor of the state.
const VARIABLE: &str = "UPHOLD_HANDOVER";
/// The first word of a call that asks whether the state and the following words are understood. It comes first, so that a program of another suite
/// takes it for a directory, which does not exist.
const QUESTION: &str = "--understand-handover";
/// The exit code that says yes. No program of the suite uses it otherwise.
const YES: u8 = 99;
/// How long the answer may take, in nanoseconds.
const PATIENCE: u64 = 10 * SECOND;

/// What was handed over to a program when it begins.
pub enum Received {
    /// Nothing: it begins from the start.
    Nothing,
    /// The question whether it understands this state, for a call with these words. Older releases ask without the words.
    Question(Call, Vec<u8>),
    /// The state from which to go on. All descriptors that it names are open.
    State(Vec<u8>),
}

/// Takes what has been handed over to this program, and removes it from the environment.
pub fn received(call: &Call) -> Received {
    let number = environ::take(VARIABLE).and_then(|number| number.to_str()?.parse::<RawFd>().ok());
    let Some(state) = number.and_then(|number| sealed::read(number).ok()) else {
        return Received::Nothing;
    };
    if call.words().first().is_some_and(|word| *word == QUESTION) {
        return Received::Question(call.without_first_word(), state);
    }
    // The memory file is not needed any more.
    drop(number.map(sealed::inherit));
    Received::State(state)
}

/// The exit code that answers the question.
pub fn answer(understood: bool) -> u8 {
    if understood { YES } else { cli::TEMPORARY }
}

/// The upgrade of a program to its new file.
pub struct Successor {
    voice: Voice,
    /// What messages call the thing that is upgraded.
    subject: Text,
    argv: Vec<CString>,
    /// It is there for a moment in the life of a process that has little memory.
    asked: Option<Box<Asked>>,
}

/// A new file that was asked and has not answered yet.
struct Asked {
    program: PathBuf,
    pid: Pid,
    /// When it is killed.
    deadline: Tick,
}

/// What the end of a process means for an upgrade.
pub enum Answer {
    /// Nothing: it was not the process that was asked.
    None,
    /// The new file does not understand the state; a warning was printed.
    No,
    /// The new file understands the state: call [`Successor::succeed`].
    Yes(PathBuf),
}

impl Successor {
    /// Makes the upgrade of the program that was called with `call`.
    pub fn new(call: &Call, voice: Voice, subject: Text) -> Successor {
        let words = std::iter::once(call.name()).chain(call.words().iter().copied());
        Successor { voice, subject, argv: words.map(c_string).collect(), asked: None }
    }

    /// The new file that was asked and has not answered yet.
    pub fn asked(&self) -> Option<Pid> {
        self.asked.as_ref().map(|asked| asked.pid)
    }

    /// The time at which [`timeout`](Successor::timeout) is due.
    pub fn deadline(&self) -> Option<Tick> {
        self.asked.as_ref().map(|asked| asked.deadline)
    }

    /// Asks the file that now has the name of this program whether it understands `state`.
    pub fn ask(&mut self, state: &[u8]) {
        if self.asked.is_some() {
            return;
        }
        match process::own_program() {
            Ok(program) => {
                if let Err(error) = self.ask_program(program.clone(), state) {
                    self.refuse(&program, Some(&error));
                }
            }
            Err(error) => self.refuse(Path::new("itself"), Some(&error)),
        }
    }

    fn ask_program(&mut self, program: PathBuf, state: &[u8]) -> io::Result<()> {
        let memory = sealed::make(state)?;
        let mut argv = self.argv.clone();
        argv.insert(1.min(argv.len()), c_string(OsStr::new(QUESTION)));
        let environment = environment(memory.as_fd());
        let (file, prepared) = (c_string(program.as_os_str()), Prepared::new(&argv, Some(&environment)));
        let mut failed = None;
        let become_program = || sealed::keep(memory.as_fd(), true).err().unwrap_or_else(|| prepared.exec(&file));
        let pid = process::spawn(become_program, |error| failed = Some(error))?;
        match failed {
            Some(error) => Err(error),
            None => {
                let pid = Pid(pid.as_raw().unsigned_abs());
                self.asked = Some(Box::new(Asked { program, pid, deadline: tick().after(PATIENCE) }));
                Ok(())
            }
        }
    }

    /// Takes in the end of a process.
    pub fn hear(&mut self, pid: Pid, change: Change) -> Answer {
        if !matches!(change, Change::Exited(_) | Change::Killed(_)) {
            return Answer::None;
        }
        let Some(asked) = self.asked.take_if(|asked| asked.pid == pid) else {
            return Answer::None;
        };
        if change == Change::Exited(YES) {
            return Answer::Yes(asked.program);
        }
        self.refuse(&asked.program, None);
        Answer::No
    }

    /// Kills a new file that has not answered in time. Its death then goes to [`hear`](Successor::hear).
    pub fn timeout(&mut self) {
        if let Some(asked) = self.asked.as_mut().filter(|asked| asked.deadline <= tick()) {
            let _ = process::kill(process::Pid::from_raw(asked.pid.0.cast_signed()), Signal::SIGKILL);
            asked.deadline = tick().after(PATIENCE);
        }
    }

    /// Executes `program` with `state` and the descriptors that it names. `signals` that come meanwhile wait until the new program
    /// catches them. Returns only on failure, after a warning.
    pub fn succeed(&self, program: &Path, state: &[u8], descriptors: &[BorrowedFd<'_>], signals: &Signals) {
        let mask = signals.block();
        let error = self.try_to_succeed(program, state, descriptors);
        if let Ok(mask) = mask {
            mask.restore();
        }
        for &descriptor in descriptors {
            let _ = sealed::keep(descriptor, false);
        }
        self.refuse(program, Some(&error));
    }

    fn try_to_succeed(&self, program: &Path, state: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Error {
        let memory = match sealed::make(state) {
            Ok(memory) => memory,
            Err(error) => return error,
        };
        for descriptor in descriptors.iter().copied().chain([memory.as_fd()]) {
            if let Err(error) = sealed::keep(descriptor, true) {
                return error;
            }
        }
        // A dynamic loader of the new file needs one more descriptor. Without it, the new file would die before it
        // could say so.
        if let Err(error) = memory.try_clone() {
            return error;
        }
        let environment = environment(memory.as_fd());
        Prepared::new(&self.argv, Some(&environment)).exec(&c_string(program.as_os_str()))
    }

    fn refuse(&self, program: &Path, error: Option<&io::Error>) {
        let unable = text!("unable to upgrade ", self.subject.0.as_slice(), " to ", program);
        match error {
            Some(error) => self.voice.warning(&text!(unable.0.as_slice(), ", going on as before"), error),
            None => {
                self.voice
                    .warn(&text!(unable.0.as_slice(), ", which does not understand the state, going on as before"));
            }
        }
    }
}

/// The environment of this process, with the variable that names the descriptor of the state.
fn environment(memory: BorrowedFd<'_>) -> Vec<CString> {
    let state = format!("{VARIABLE}={}", sealed::number(memory));
    let others = environ::all().into_iter().filter(|variable| !variable.as_bytes().starts_with(VARIABLE.as_bytes()));
    others.chain([c_string(OsStr::from_bytes(state.as_bytes()))]).collect()
}
