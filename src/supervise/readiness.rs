//! How a service says that it is ready, if it does: by a newline on a descriptor (`notification-fd`), by a datagram to
//! a socket (`sd-notify`), or by a program that succeeds (`check`). The first one counts.
//!
//! A service must not be harmed if supervise is killed before the service is ready. So the service's end of the pipe is
//! open for reading and writing: the pipe cannot break, and what is written to it waits for the next supervise, which
//! finds the pipe through `/proc`.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use cli::{Warnings, text};
use machine::Pid;
use svdir::names;
use svdir::record::Text;
use sys::passed::PassedFd;
use sys::{fd, proc, process, sealed};

use super::knobs::{self, Present};
use crate::service::files;
use crate::service::notify::NotifySocket;
use crate::service::ready_pipe::{self, Heard};

/// The ways in which the service that is being started can say that it is ready.
#[derive(Default)]
pub struct Notification {
    pipe: Option<Pipe>,
    /// It has a `check`.
    pub check: bool,
    /// It can use the notify socket.
    pub socket: bool,
    /// The interval in nanoseconds within which it says on the socket that it is alive; 0 if it need not.
    pub watchdog: u64,
}

struct Pipe {
    reader: OwnedFd,
    /// The end that the service gets under `number`.
    writer: OwnedFd,
    number: RawFd,
}

impl Notification {
    /// Prepares the ways for which the current directory asks. Messages call that directory `dir`. `alone` means that
    /// no copy of the service runs.
    pub fn prepare(
        dir: &OsStr,
        present: Present,
        socket: &mut NotifySocket,
        alone: bool,
        said: &mut Warnings,
    ) -> Notification {
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
        Notification { pipe, check: present.check, socket, watchdog }
    }

    /// The environment variable that tells the service its watchdog interval, if it has one.
    pub fn interval(&self) -> Option<(&'static str, Option<Vec<u8>>)> {
        let microseconds = self.watchdog / 1_000;
        (microseconds > 0).then(|| (sys::notify::WATCHDOG_USEC, Some(microseconds.to_string().into_bytes())))
    }

    /// Returns whether the service has any way to say that it is ready.
    pub fn any(&self) -> bool {
        self.pipe.is_some() || self.check || self.socket
    }

    /// Returns the inode number of the pipe; 0 if there is none.
    pub fn pipe_id(&self) -> u64 {
        self.pipe.as_ref().and_then(|pipe| fd::pipe_id(pipe.reader.as_fd())).unwrap_or(0)
    }

    /// The descriptor that the service gets to write to the pipe.
    pub fn passed_fd(&self) -> Option<PassedFd<'_>> {
        let pipe = self.pipe.as_ref()?;
        Some(PassedFd { fd: pipe.writer.as_fd(), name: names::NOTIFICATION_FD.as_bytes(), number: Some(pipe.number) })
    }

    /// Returns the pipe on which the service, once it was started, says that it is ready.
    pub fn listen(self) -> ReadyPipe {
        ReadyPipe(self.pipe.map(|pipe| pipe.reader))
    }
}

/// Makes the notify socket when a service first asks for it. Returns whether there is one. If the service does not ask
/// for an abstract socket but there is one, as from an older release, it is kept only for a copy that knows its name;
/// `alone` means that there is no such copy.
#[inline(never)]
fn open_socket(socket: &mut NotifySocket, alone: bool, dir: &OsStr, said: &mut Warnings) -> bool {
    if alone && socket.abstract_name().is_some() && !wants_abstract() {
        *socket = NotifySocket::default();
    }
    if !socket.is_open() && !wants_abstract() {
        match socket.open_file() {
            Ok(()) => said.over("notify socket"),
            Err(error) => {
                let place = files::shown(dir, names::NOTIFY);
                let text = text!("unable to make ", place.0.as_slice(), ", taking an abstract socket");
                said.warning("notify socket", text, &error);
            }
        }
    }
    match socket.open_abstract() {
        Ok(()) => said.over("socket"),
        Err(error) => said.warning("socket", text!("unable to open a socket for ", dir), &error),
    }
    socket.is_open()
}

/// Returns whether the service asks for an abstract socket, which it can reach from another root directory.
fn wants_abstract() -> bool {
    let mut word = [0; 16];
    let count = fd::open_read(names::SD_NOTIFY).and_then(|file| fd::read(file.as_fd(), &mut word));
    count.is_ok_and(|count| word.get(..count).is_some_and(|word| word.trim_ascii() == b"abstract"))
}

/// Finds the notify socket of a killed supervise. `abstract_name` is the name in its record.
pub fn find_socket(abstract_name: Option<&[u8]>, dir: &OsStr, said: &mut Warnings) -> NotifySocket {
    NotifySocket::find(abstract_name).unwrap_or_else(|error| {
        said.warning("socket", text!("unable to hear from ", dir), &error);
        NotifySocket::default()
    })
}

/// The name of the socket for the record, if it is abstract. A socket that is a file is found in its directory.
pub fn recorded(socket: &NotifySocket) -> Text<16> {
    socket.abstract_name().map(Text::new).unwrap_or_default()
}

/// The environment variable that tells a service the name of the socket.
pub fn variable(socket: &NotifySocket) -> (&'static str, Option<Vec<u8>>) {
    (sys::notify::NOTIFY_SOCKET, socket.name().map(<[u8]>::to_vec))
}

impl Pipe {
    fn new(number: RawFd) -> io::Result<Pipe> {
        let (reader, writer) = fd::pipe()?;
        fd::set_nonblocking(reader.as_fd())?;
        // Without `/proc`, the pipe breaks if supervise is killed.
        let writer = both_ways(writer.as_fd()).unwrap_or(writer);
        Ok(Pipe { reader, writer, number })
    }
}

fn both_ways(writer: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", sealed::number(writer));
    Ok(OpenOptions::new().read(true).write(true).open(path)?.into())
}

/// The read end of the pipe to which a copy writes a newline when it is ready; `None` if there is no pipe, or nothing
/// more will come.
#[derive(Default)]
pub struct ReadyPipe(Option<OwnedFd>);

impl ReadyPipe {
    /// Finds the pipe with this inode number in the process `pid`, which another supervise has started. No pipe if the
    /// number is 0.
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

    /// Takes over the pipe that was open before an upgrade.
    pub fn inherit(pipe: Option<OwnedFd>) -> ReadyPipe {
        ReadyPipe(pipe)
    }

    /// The descriptor to poll.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }

    /// Reads what the service has written. Returns whether it says that it is ready.
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

/// Opens the read end of a pipe that `pid` has open.
fn find_pipe(pid: Pid, id: u64) -> Option<OwnedFd> {
    let process = process::Pid::from_raw(pid.0.cast_signed());
    // Opens nothing but this pipe: an open may have effects on other files.
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
