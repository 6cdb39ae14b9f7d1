//! Finished files that a program has compressed.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, Stdio};

/// What a compressed file begins with, and the program that knows it.
const KINDS: [(&[u8], &str); 3] = [(b"\x1f\x8b", "gzip"), (b"\xfd7zXZ\0", "xz"), (b"\x28\xb5\x2f\xfd", "zstd")];

/// The program that has compressed a file, by its first bytes.
pub fn program(file: &File) -> Option<&'static str> {
    let mut first = [0; 6];
    let length = file.read_at(&mut first, 0).ok()?;
    KINDS.iter().find(|(magic, _)| first[..length].starts_with(magic)).map(|&(_, program)| program)
}

/// A compressed file, as it is read by its program.
pub struct Packed(Child);

impl Packed {
    /// Begins to read a file.
    ///
    /// # Errors
    /// If the program cannot be run.
    pub fn open(program: &str, file: &File) -> io::Result<Packed> {
        let mut file = file.try_clone()?;
        io::Seek::rewind(&mut file)?;
        let mut command = Command::new(program);
        Ok(Packed(command.arg("-dc").stdin(file).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?))
    }

    /// Reads on behind so many bytes.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn skip(&mut self, count: u64) -> io::Result<()> {
        io::copy(&mut self.by_ref().take(count), &mut io::sink()).map(drop)
    }

    /// Returns whether the program was able to read all of it. Call this at its end.
    pub fn was_whole(&mut self) -> bool {
        self.0.wait().is_ok_and(|status| status.success())
    }
}

impl Read for Packed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.stdout.as_mut().map_or(Ok(0), |pipe| pipe.read(buffer))
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // It may have more to write than anybody wants to read.
        drop(self.0.stdout.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
