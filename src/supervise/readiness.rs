//! How a service tells that it is ready, where it does: a newline on a descriptor (`notification-fd`), a datagram on a socket
//! (`sd-notify`), or a program that succeeds (`check`). The first one that does counts.
//!
//! A service must not come to harm by a supervise that is killed while the service is not ready yet. So its end of the pipe is open
//! for both directions: it cannot break, and what is written there waits for the next supervise, which finds the pipe again through
//! `/proc`.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use cli::{Warnings, text};
use machine::Pid;
use svdir::names;
use svdir::record::Text;
use sys::handed::Gift;
use sys::{fd, proc, process, sealed};

use super::knobs::{self, Present};
use crate::service::files;
use crate::service::notify::NotifySocket;
use crate::service::ready_pipe::{self, Heard};

/// What is made for a start, so that the service can tell.
#[derive(Default)]
pub struct Ways {
    pipe: Option<Pipe>,
    /// It tells by `check`.
    pub check: bool,
    /// It tells by the socket.
    pub socket: bool,
    /// Within so many nanoseconds it tells by the socket that it is alive; 0 if it need not.
    pub watchdog: u64,
}

struct Pipe {
    reader: OwnedFd,
    /// The service's, which shall have this number.
    writer: OwnedFd,
    number: RawFd,
}

impl Ways {
    /// Those that the current directory, which messages call `dir`, asks for.
    /// `alone` says that no copy of the service runs.
    pub fn prepare(dir: &OsStr, present: Present, socket: &mut NotifySocket, alone: bool, said: &mut Warnings) -> Ways {
        let number = if present.notification_fd {
            knobs::notification_fd(dir, said)
        } else {
            said.over("place");
            said.over(names::NOTIFICATION_FD);
            None
        };
        let pipe = number.and_then(|number| match Pipe::new(number) {
            Ok(pipe) => {
                said.over("ready");
                Some(pipe)
            }
            Err(error) => {
                said.warning("ready", text!("unable to create pipe for ", dir, "/", names::NOTIFICATION_FD), &error);
                None
            }
        });
        let socket = present.sd_notify && open_socket(socket, alone, dir, said);
        let watchdog = if socket && present.watchdog { knobs::watchdog(dir, said) } else { 0 };
        Ways { pipe, check: present.check, socket, watchdog }
    }

    /// The variable that tells it how often to say that it is alive.
    pub fn interval(&self) -> Option<(&'static str, Option<Vec<u8>>)> {
        let microseconds = self.watchdog / 1_000;
        (microseconds > 0).then(|| (sys::notify::WATCHDOG_USEC, Some(microseconds.to_string().into_bytes())))
    }

    /// Whether it tells at all.
    pub fn any(&self) -> bool {
        self.pipe.is_some() || self.check || self.socket
    }

    /// The inode number of the pipe; 0 if there is none.
    pub fn pipe_id(&self) -> u64 {
        self.pipe.as_ref().and_then(|pipe| fd::pipe_id(pipe.reader.as_fd())).unwrap_or(0)
    }

    /// The descriptor that the service tells by.
    pub fn gift(&self) -> Option<Gift<'_>> {
        let pipe = self.pipe.as_ref()?;
        Some(Gift { fd: pipe.writer.as_fd(), name: names::NOTIFICATION_FD.as_bytes(), number: Some(pipe.number) })
    }

    /// The end of the pipe that is read, once the service was started.
    pub fn listen(self) -> ReadyPipe {
        ReadyPipe(self.pipe.map(|pipe| pipe.reader))
    }
}

/// Makes the socket on which services tell of themselves, for the first one that asks for it. Whether there is one. An abstract one, as older
/// releases had it, is only kept for a copy that knows it: `alone` says that there is none.
#[inline(never)]
fn open_socket(socket: &mut NotifySocket, alone: bool, dir: &OsStr, said: &mut Warnings) -> bool {
    if alone && socket.abstract_name().is_some() && !wants_abstract() {
        *socket = NotifySocket::default();
    }
    if !socket.is_open() && !wants_abstract() {
        match socket.open_file() {
            Ok(()) => said.over("notify"),
            Err(error) => {
                let place = files::shown(dir, names::NOTIFY);
                let text = text!("unable to make ", place.0.as_slice(), ", taking an abstract socket");
                said.warning("notify", text, &error);
            }
        }
    }
    match socket.open_abstract() {
        Ok(()) => said.over("socket"),
        Err(error) => said.warning("socket", text!("unable to open a socket for ", dir), &error),
    }
    socket.is_open()
}

/// Whether the service asks for a socket that it can reach from another root directory.
fn wants_abstract() -> bool {
    let mut word = [0; 16];
    let count = fd::open_read(names::SD_NOTIFY).and_then(|file| fd::read(file.as_fd(), &mut word));
    count.is_ok_and(|count| word.get(..count).is_some_and(|word| word.trim_ascii() == b"abstract"))
}

/// The socket that a supervise which was killed had; `abstract_name` is what its record tells.
pub fn find_socket(abstract_name: Option<&[u8]>, dir: &OsStr, said: &mut Warnings) -> NotifySocket {
    NotifySocket::find(abstract_name).unwrap_or_else(|error| {
        said.warning("socket", text!("unable to hear from ", dir), &error);
        NotifySocket::default()
    })
}

/// The abstract name of a socket as the record has it; nothing for a file, which is found in its directory.
pub fn recorded(socket: &NotifySocket) -> Text<16> {
    socket.abstract_name().map(Text::new).unwrap_or_default()
}

/// The variable that tells a service its name.
pub fn variable(socket: &NotifySocket) -> (&'static str, Option<Vec<u8>>) {
    (sys::notify::NOTIFY_SOCKET, socket.name().map(<[u8]>::to_vec))
}

impl Pipe {
    fn new(number: RawFd) -> io::Result<Pipe> {
        let (reader, writer) = fd::pipe()?;
        fd::set_nonblocking(reader.as_fd())?;
        // Where there is no /proc, a supervise that is killed breaks the pipe.
        let writer = both_ways(writer.as_fd()).unwrap_or(writer);
        Ok(Pipe { reader, writer, number })
    }
}

fn both_ways(writer: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", sealed::number(writer));
    Ok(OpenOptions::new().read(true).write(true).open(path)?.into())
}

/// Where a copy writes a newline when it is ready; nothing if it does not, or has.
#[derive(Default)]
pub struct ReadyPipe(Option<OwnedFd>);

impl ReadyPipe {
    /// The pipe of the process `pid`, which another supervise has started, by its inode number; nothing for 0.
    #[inline(never)]
    pub fn find(pid: Pid, pipe: u64, dir: &OsStr, said: &mut Warnings) -> ReadyPipe {
        if pipe == 0 {
            return ReadyPipe(None);
        }
        let found = find_pipe(pid, pipe);
        if found.is_none() {
            let gone = io::Error::other("it has closed the descriptor meanwhile");
            said.warning("ready", text!("unable to hear from ", dir, " whether it is ready"), &gone);
        }
        ReadyPipe(found)
    }

    /// The pipe that another program has left in this process.
    pub fn inherit(pipe: Option<OwnedFd>) -> ReadyPipe {
        ReadyPipe(pipe)
    }

    /// What to poll.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Reads what the service has written. Whether it says that it is ready.
    pub fn hear(&mut self) -> bool {
        let Some(pipe) = &self.0 else {
            return false;
        };
        match ready_pipe::hear(pipe.as_fd()) {
            Heard::Nothing => false,
            Heard::Ready => true,
            Heard::End => {
                self.0 = None;
                false
            }
        }
    }
}

/// The read end of a pipe that `pid` has open.
fn find_pipe(pid: Pid, id: u64) -> Option<OwnedFd> {
    let process = process::Pid::from_raw(pid.0.cast_signed());
    // Only what is this pipe is opened: to open may have effects on other files.
    let number =
        proc::descriptors(process).ok()?.into_iter().find(|&number| proc::pipe(process, number) == Some(id))?;
    let opened = fd::open_read(Path::new(&format!("/proc/{}/fd/{number}", pid.0))).ok()?;
    (fd::pipe_id(opened.as_fd()) == Some(id)).then(|| opened.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_that_a_service_gets_does_not_break() {
        let Pipe { reader, writer, .. } = Pipe::new(9).expect("a pipe");
        let id = fd::pipe_id(reader.as_fd()).expect("it is one");
        drop(reader);
        assert_eq!(fd::write(writer.as_fd(), b"x\n").expect("it has a reader"), 2);
        let me = Pid(sys::process::own_pid().as_raw().unsigned_abs());
        let mut ready = ReadyPipe(find_pipe(me, id));
        assert!(ready.hear() && !ready.hear());
        assert!(find_pipe(me, 1).is_none());
    }
}
