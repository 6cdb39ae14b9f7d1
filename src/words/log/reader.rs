//! One file of a log that is read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};

use sys::inode::{self, Identity};
use tai::Label;

use super::filter::stamp;
use super::packed::{self, Packed};

/// A file that is read from its beginning, or a place in it.
pub struct Reader {
    file: File,
    packed: Option<Packed>,
    /// Its logger died while it wrote.
    is_cut: bool,
    /// How far it was read.
    at: u64,
}

/// Why a file is left out.
pub enum LeftOut {
    /// There is no program that could read it.
    NoProgram(&'static str, io::Error),
    /// It cannot be read.
    Unreadable(io::Error),
}

impl From<io::Error> for LeftOut {
    fn from(error: io::Error) -> LeftOut {
        LeftOut::Unreadable(error)
    }
}

impl Reader {
    /// Begins to read an open file.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn new(mut file: File, is_cut: bool, at: u64) -> Result<Reader, LeftOut> {
        let packed = match packed::program(&file) {
            None => {
                file.seek(SeekFrom::Start(at))?;
                None
            }
            Some(program) => {
                let mut packed = Packed::open(program, &file).map_err(|error| LeftOut::NoProgram(program, error))?;
                packed.skip(at)?;
                Some(packed)
            }
        };
        Ok(Reader { file, packed, is_cut, at })
    }

    /// Whether its logger died while it wrote.
    pub const fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// What it begins with: as much as a stamp is long. Empty if it is compressed.
    pub fn head(&self) -> Vec<u8> {
        if self.packed.is_some() { Vec::new() } else { head(&self.file) }
    }

    /// Whether it is compressed.
    pub const fn is_packed(&self) -> bool {
        self.packed.is_some()
    }

    /// Returns whether the program that reads it was able to; true for what is not compressed. Call this at its end.
    pub fn was_whole(&mut self) -> bool {
        self.packed.as_mut().is_none_or(Packed::was_whole)
    }

    /// Reads from the beginning if it was emptied.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn begin_again_if_emptied(&mut self) -> io::Result<()> {
        if self.packed.is_none() && self.file.metadata()?.len() < self.at {
            self.file.rewind()?;
            self.at = 0;
        }
        Ok(())
    }

    /// Which file it is.
    ///
    /// # Errors
    /// If the kernel does not say.
    pub fn identity(&self) -> io::Result<Identity> {
        inode::of(&self.file)
    }

    /// The open file.
    pub fn into_file(self) -> File {
        self.file
    }

    /// Whether no name leads to it any more.
    pub fn is_removed(&self) -> bool {
        is_removed(&self.file)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match &mut self.packed {
            Some(packed) => packed.read(buffer)?,
            None => self.file.read(buffer)?,
        };
        self.at += count as u64;
        Ok(count)
    }
}

/// Whether no name leads to a file any more.
pub fn is_removed(file: &File) -> bool {
    file.metadata().is_ok_and(|file| file.nlink() == 0)
}

/// What a file begins with: as much as a stamp is long, and the byte behind.
pub fn head(file: &File) -> Vec<u8> {
    let mut head = [0; Label::TEXT + 1];
    let length = file.read_at(&mut head, 0).unwrap_or(0);
    head[..length].to_vec()
}

/// Whether a line that the end of a file cuts goes on in the one that begins with `next`: multilog divides a line that is longer than a file.
pub fn goes_on(is_cut: bool, next: &[u8]) -> bool {
    !is_cut && stamp(next).is_none()
}

/// Whether the last byte of a file ends a line. True for an empty one.
pub fn ends_with_a_line(file: &File) -> bool {
    let length = file.metadata().map_or(0, |file| file.len());
    let mut last = *b"\n";
    length == 0 || file.read_at(&mut last, length - 1).is_err() || last == *b"\n"
}
