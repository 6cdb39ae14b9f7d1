//! Datagrams with what comes besides their bytes: who has sent them, and descriptors.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

use crate::process::Pid;

/// Calls recvmsg. Returns the number of bytes and the message header; `None` if there is no datagram.
pub fn look(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    control: &mut [MaybeUninit<u64>],
    flags: c_int,
) -> io::Result<Option<(usize, libc::msghdr)>> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: numbers and pointers; all zero is a value of theirs.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(control) as _;
    let flags = flags | libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT;
    let count = loop {
        // SAFETY: the message points to memory of ours, and says how much there is.
        match Errno::result(unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) }) {
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            received => break received? as usize,
        }
    };
    // The array of buffers ends with this function.
    message.msg_iov = std::ptr::null_mut();
    Ok(Some((count.min(buffer.len()), message)))
}

/// The pid and the user id of the sender; pid 0 and no user if the kernel does not say.
///
/// # Safety
/// `message` is one that [`look`] has returned, and its `control` is still there.
pub unsafe fn sender(message: &libc::msghdr) -> (Pid, u32) {
    let mut sender = (Pid::from_raw(0), u32::MAX);
    let see = |kind, data: *const u8, length| {
        if kind == libc::SCM_CREDENTIALS && length >= size_of::<libc::ucred>() {
            // SAFETY: there are as many bytes.
            let who = unsafe { data.cast::<libc::ucred>().read_unaligned() };
            sender = (Pid::from_raw(who.pid), who.uid);
        }
    };
    // SAFETY: as the caller promises.
    unsafe { for_each_part(message, see) };
    sender
}

/// Takes the descriptors that the kernel has given to this process with a message.
///
/// # Safety
/// As for [`sender`]; and they are taken only once.
pub unsafe fn descriptors(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut all = Vec::new();
    let see = |kind, data: *const u8, length| {
        if kind == libc::SCM_RIGHTS {
            let numbers = data.cast::<c_int>();
            // SAFETY: there are as many numbers, and the kernel has just made each of them a descriptor for us.
            let take = |at| unsafe { OwnedFd::from_raw_fd(numbers.add(at).read_unaligned()) };
            all.extend((0..length / size_of::<c_int>()).map(take));
        }
    };
    // SAFETY: as the caller promises.
    unsafe { for_each_part(message, see) };
    all
}

/// Calls `see` with the kind, the beginning and the length in bytes of each part of SOL_SOCKET in what the kernel has written besides a message.
///
/// # Safety
/// As for [`sender`].
unsafe fn for_each_part(message: &libc::msghdr, mut see: impl FnMut(c_int, *const u8, usize)) {
    // SAFETY: the kernel has filled what `msg_control` points to, and said how much. The macros stay within that.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(message);
        while !at.is_null() {
            let data = libc::CMSG_DATA(at);
            let length = (*at).cmsg_len as usize - (data as usize - at as usize);
            if (*at).cmsg_level == libc::SOL_SOCKET {
                see((*at).cmsg_type, data, length);
            }
            at = libc::CMSG_NXTHDR(message, at);
        }
    }
}

/// Sends a datagram with descriptors through a connected socket, as services do.
///
/// # Errors
/// Those of the system; EINVAL for more descriptors than a datagram may carry.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let size = size_of_val(descriptors);
    let room = u32::try_from(size).map_err(|_| io::Error::from(Errno::EINVAL))?;
    let numbers: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: the control message is made as CMSG_LEN and CMSG_DATA say, in room that CMSG_SPACE says is enough, and all of it lives until
    // the call returns.
    let sent = unsafe {
        let mut control = vec![0_u64; libc::CMSG_SPACE(room) as usize / 8 + 1];
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        if !numbers.is_empty() {
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(room) as _;
            let head = libc::CMSG_FIRSTHDR(&raw const message);
            (*head).cmsg_level = libc::SOL_SOCKET;
            (*head).cmsg_type = libc::SCM_RIGHTS;
            (*head).cmsg_len = libc::CMSG_LEN(room) as _;
            std::ptr::copy_nonoverlapping(numbers.as_ptr().cast(), libc::CMSG_DATA(head), size);
        }
        libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)
    };
    if sent < 0 { Err(Errno::last().into()) } else { Ok(()) }
}
