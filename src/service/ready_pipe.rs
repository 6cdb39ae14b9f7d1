//! The pipe on which a service says by a newline that it is ready.

use std::io;
use std::os::fd::BorrowedFd;

use sys::fd;

/// What was heard on the pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that counts.
    Nothing,
    /// A newline: the service is ready.
    Ready,
    /// End of file: the service has closed the pipe, so it will not say that it is ready.
    End,
}

/// Reads from the pipe once.
pub fn hear(reader: BorrowedFd<'_>) -> Heard {
    let mut bytes = [0; 256];
    match fd::read(reader, &mut bytes) {
        Ok(count) if bytes.get(..count).is_some_and(|read| read.contains(&b'\n')) => Heard::Ready,
        Ok(1..) => Heard::Nothing,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Heard::Nothing,
        Ok(_) | Err(_) => Heard::End,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_newline_is_ready_whatever_stands_around_it() {
        let (reader, writer) = fd::pipe().expect("a pipe");
        fd::set_nonblocking(reader.as_fd()).expect("it is ours");
        for (written, heard) in [(&b""[..], Heard::Nothing), (b"soon", Heard::Nothing), (b"now\nmore", Heard::Ready)] {
            fd::write_all(writer.as_fd(), written).expect("there is room");
            assert_eq!(hear(reader.as_fd()), heard);
        }
        drop(writer);
        assert_eq!(hear(reader.as_fd()), Heard::End);
    }
}
