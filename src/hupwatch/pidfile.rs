//! The file that holds the pid of a program while it runs.
//!
//! Its directory may belong to the user of the command, who may put anything there at any time. So no link is followed, and no open
//! waits (as for a FIFO).

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use sys::fd;

/// A file with the pid of this process; it is removed when dropped, unless another process has written to it meanwhile.
pub(super) struct Pidfile {
    path: PathBuf,
    text: String,
}

impl Pidfile {
    /// Writes the file, first as `PATH.new`, so that nobody reads half of it. An existing file of that name is removed: it is left
    /// from a process that was killed.
    pub(super) fn write(path: &Path) -> io::Result<Pidfile> {
        let text = format!("{}\n", sys::process::own_pid());
        let mut new = path.as_os_str().to_os_string();
        new.push(".new");
        let new = Path::new(&new);
        let _ = std::fs::remove_file(new);
        let written = fd::create_new(new)
            .and_then(|file| fd::write_all(file.as_fd(), text.as_bytes()))
            .and_then(|()| fd::rename(new, path))
            .inspect_err(|_| drop(std::fs::remove_file(new)));
        written.map(|()| Pidfile { path: path.to_path_buf(), text })
    }

    fn is_ours(&self) -> bool {
        let mut found = [0; 16];
        let read = fd::open_no_link(&*self.path).and_then(|file| fd::read(file.as_fd(), &mut found));
        read.is_ok_and(|count| found.get(..count) == Some(self.text.as_bytes()))
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if self.is_ours() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
