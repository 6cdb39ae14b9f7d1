//! The notify socket, to which a service sends its sd_notify messages, and whose messages count there.
//!
//! The socket is a file in `supervise/notify/` with a name that cannot be guessed: everybody may enter that directory, but only its owner
//! may list it. So only a process that gets the name from the service can write to the socket, as whatever user and in whatever network
//! namespace, and no stranger can fill its queue. If there can be no such file, and for hupwatch, which has no directory, the socket has an
//! abstract name, to which everybody on the machine can write. In both cases [`machine::speaker`] decides whose messages count.

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use machine::speaker::{self, Named, Sender};
use machine::{Pid, SECOND, Tick};
use svdir::names;
use svdir::notify::{self, Notice};
use sys::notify::{Datagram, LONGEST, LONGEST_PATH, NOTIFY_SOCKET, Socket};
use sys::proc::Environment;
use sys::process;
use sys::{fd, proc};

use super::{files, tick};

/// How many children may be closing descriptors from datagrams at the same time. If that many do not end, no datagram is read until
/// one of them does.
const CLOSERS: usize = 4;
/// The time after which the start of such a child is tried again, in nanoseconds.
const REST: u64 = SECOND;
/// The file name of a socket that is still being made.
const NEW: &str = "new";

/// The notify socket, once it is open.
#[derive(Default)]
pub struct NotifySocket {
    open: Option<Open>,
    closers: [Option<process::Pid>; CLOSERS],
    /// Nothing is read before this time.
    rests_until: Option<Tick>,
}

struct Open {
    socket: Socket,
    /// The value of [`NOTIFY_SOCKET`].
    name: Vec<u8>,
    is_file: bool,
}

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The copy that the datagram counts for; `None` if it counts for none.
    pub by: Option<Pid>,
    /// The process that has sent it.
    pub sender: process::Pid,
    /// The user id of the sender.
    pub user: u32,
    bytes: &'a [u8],
    cut: bool,
}

impl<'a> Message<'a> {
    /// The messages in the datagram.
    pub fn words(self) -> impl Iterator<Item = Notice<'a>> {
        notify::parse(self.bytes, self.cut)
    }
}

impl NotifySocket {
    /// Makes the socket as a file of the service directory, which is the current directory, unless it is open already.
    ///
    /// # Errors
    /// If that fails, or the path of the file is too long for a socket address.
    pub fn open_file(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            let directory = files::here(names::NOTIFY);
            prepare(&directory)?;
            let random = sys::random::bytes::<16>()?;
            let name: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            self.open = Some(make(&directory, OsStr::new(&name))?);
        }
        Ok(())
    }

    /// Makes the socket in the abstract namespace, unless it is open already.
    ///
    /// # Errors
    /// Those of the system.
    pub fn open_abstract(&mut self) -> io::Result<()> {
        if self.open.is_none() {
            self.open = Open::of(Socket::open()?);
        }
        Ok(())
    }

    /// Makes the socket of a killed supervise again under the same name, which the service knows: in the abstract namespace if it was
    /// there, else in the directory. If there was no socket, the result has none.
    ///
    /// # Errors
    /// EADDRINUSE if another process has taken the abstract name.
    pub fn find(abstract_name: Option<&[u8]>) -> io::Result<NotifySocket> {
        let open = match abstract_name {
            Some(name) => Open::of(Socket::open_again(name)?),
            None => {
                let directory = files::here(names::NOTIFY);
                match find_file(&directory) {
                    Some(name) => Some(make(&directory, &name)?),
                    None => None,
                }
            }
        };
        Ok(NotifySocket { open, ..NotifySocket::default() })
    }

    /// Takes over the socket that was open in this process before an upgrade.
    pub fn inherit(socket: OwnedFd) -> io::Result<NotifySocket> {
        let socket = Socket::inherit(socket)?;
        let open = if socket.abstract_name().is_some() {
            Open::of(socket)
        } else {
            let directory = files::here(names::NOTIFY);
            let name = find_file(&directory).ok_or(io::ErrorKind::NotFound)?;
            Some(Open { socket, name: path_of(&directory, &name)?, is_file: true })
        };
        Ok(NotifySocket { open, ..NotifySocket::default() })
    }

    /// Returns whether the socket is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The name of the socket, as the service gets it: the value of [`NOTIFY_SOCKET`].
    pub fn name(&self) -> Option<&[u8]> {
        self.open.as_ref().map(|open| open.name.as_slice())
    }

    /// The name of the socket in the abstract namespace, if it has one there.
    pub fn abstract_name(&self) -> Option<&[u8]> {
        self.open.as_ref().filter(|open| !open.is_file).map(|open| open.name.as_slice())
    }

    /// The descriptor of the socket, for an upgrade.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.open.as_ref().map(|open| open.socket.fd())
    }

    /// The descriptor to poll, unless nothing is read now.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor().filter(|_| self.reads())
    }

    /// The time from which the socket is polled again.
    pub fn deadline(&self) -> Option<Tick> {
        self.rests_until
    }

    fn reads(&self) -> bool {
        self.closers.contains(&None) && self.rests_until.is_none_or(|until| until <= tick())
    }

    /// Takes the next datagram, and judges for which of `copies` it counts. `None` if there is none, or nothing is read now. If it counts and
    /// carries descriptors, `keep` may make copies of them before they are closed.
    ///
    /// Not inlined: most turns of the loop do not need it, and must not pay for its stack.
    #[inline(never)]
    pub fn receive<'a>(
        &mut self,
        copies: [Option<Pid>; 2],
        buffer: &'a mut [u8; LONGEST],
        keep: impl FnOnce(Message<'a>, &Socket),
    ) -> Option<Message<'a>> {
        let open = self.open.as_ref().filter(|_| self.reads())?;
        let taken = open.socket.peek(buffer).and_then(|datagram| {
            let Some(Datagram { bytes, cut, sender, user, carries }) = datagram else {
                return Ok(None);
            };
            let facts = look_at(sender, user, open.is_file, copies);
            let message = Message { by: speaker::speaks_for(facts, copies), sender, user, bytes, cut };
            if carries && message.by.is_some() {
                keep(message, &open.socket);
            }
            Ok(Some((message, open.socket.take(carries)?)))
        });
        let (message, closer) = match taken {
            Ok(taken) => taken?,
            Err(error) => {
                log::info!("unable to read from a notify socket, trying again in a second: {}", cli::reason(&error));
                self.rests_until = Some(tick().after(REST));
                return None;
            }
        };
        self.rests_until = None;
        if let Some(free) = self.closers.iter_mut().find(|closer| closer.is_none()) {
            *free = closer;
        }
        Some(message)
    }

    /// The children that close descriptors from datagrams.
    pub fn closers(&self) -> impl Iterator<Item = process::Pid> {
        self.closers.into_iter().flatten()
    }

    /// Takes in the end of a process. Returns whether it was one of the children that close descriptors.
    pub fn ended(&mut self, pid: process::Pid) -> bool {
        let closer = self.closers.iter_mut().find(|closer| **closer == Some(pid));
        closer.is_some_and(|closer| closer.take().is_some())
    }

    /// Returns whether supervise may follow `MAINPID` from the process `old` of the service to the process `new`. `user` is the sender
    /// of the message.
    pub fn may_follow(&self, old: Pid, new: Pid, user: u32) -> bool {
        let (old, new) = (process(old), process(new));
        let descends = proc::descends(new, old);
        let variable = self.name().map(|name| [NOTIFY_SOCKET.as_bytes(), b"=", name].concat());
        // Reads /proc only as far as it is needed.
        let was_told = |variable: &[u8]| !descends && proc::environment(new, variable) != Environment::HasNot;
        speaker::may_follow(Named {
            descends,
            may_be_signalled: proc::may_be_signalled(new, user),
            was_told: variable.is_some_and(|variable| was_told(&variable)),
        })
    }

    /// Removes the file of the socket, so that nobody can connect to it any more.
    pub fn remove(&mut self) {
        if self.open.take().is_some_and(|open| open.is_file) {
            let directory = files::here(names::NOTIFY);
            clear(&directory);
            let _ = fs::remove_dir(&*directory);
        }
    }
}

impl Open {
    /// `None` for a socket without a name.
    fn of(socket: Socket) -> Option<Open> {
        let name = socket.abstract_name()?;
        Some(Open { socket, name, is_file: false })
    }
}

/// Collects what the kernel knows about the sender of a datagram.
fn look_at(pid: process::Pid, user: u32, was_told: bool, copies: [Option<Pid>; 2]) -> Sender {
    let of = copies.into_iter().flatten().find(|&copy| proc::descends(pid, process(copy)));
    let exists = of.is_some() || proc::exists(pid);
    let may_signal = |copy: Option<Pid>| copy.filter(|&copy| !exists && proc::may_be_signalled(process(copy), user));
    Sender { visible: pid.as_raw() > 0, of, exists, was_told, may_signal: copies.map(may_signal) }
}

fn process(pid: Pid) -> process::Pid {
    process::Pid::from_raw(pid.0.cast_signed())
}

/// Makes the directory, empties it, and lets everybody enter it and its parent.
fn prepare(directory: &Path) -> io::Result<()> {
    match fs::DirBuilder::new().mode(0o711).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => clear(directory),
        made => made?,
    }
    let opened = fd::open_directory(directory)?;
    opened.set_permissions(Permissions::from_mode(0o711))?;
    let above = directory.parent().ok_or(io::ErrorKind::NotFound)?;
    let above: File = fd::open_read(above)?;
    let mode = above.metadata()?.permissions().mode() & 0o7777;
    if mode & 0o111 != 0o111 {
        above.set_permissions(Permissions::from_mode(mode | 0o111))?;
    }
    Ok(())
}

/// Removes the sockets in the directory.
fn clear(directory: &Path) {
    for path in sockets(directory) {
        let _ = fs::remove_file(path);
    }
}

fn sockets(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket())).map(|entry| entry.path())
}

/// The name of the socket in the directory, if there is one.
fn find_file(directory: &Path) -> Option<std::ffi::OsString> {
    sockets(directory).filter_map(|path| Some(path.file_name()?.to_owned())).find(|name| name != NEW)
}

/// The absolute path of the file `name` in `directory`, which may be relative to the current directory.
fn path_of(directory: &Path, name: &OsStr) -> io::Result<Vec<u8>> {
    let directory = directory.strip_prefix(".").unwrap_or(directory);
    let path = std::env::current_dir()?.join(directory).join(name).into_os_string().into_vec();
    if path.len() > LONGEST_PATH {
        return Err(io::Error::other("the path is too long for a socket"));
    }
    Ok(path)
}

/// Makes the socket `name` in the directory, replacing a file of that name. It gets this name by a rename at the end, so the name does
/// not appear in `/proc/net/unix`, which everybody can read, and nobody can connect before the socket is ready.
fn make(directory: &Path, name: &OsStr) -> io::Result<Open> {
    let path = path_of(directory, name)?;
    let new = directory.join(NEW);
    let _ = fs::remove_file(&new);
    let socket = Socket::open_file(&new)?;
    let file = directory.join(name);
    fd::rename(new.as_path(), file.as_path())?;
    fs::set_permissions(&file, Permissions::from_mode(0o666))?;
    Ok(Open { socket, name: path, is_file: true })
}
