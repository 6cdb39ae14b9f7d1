//! The file that holds the pid of a program while it runs.

use std::io;
use std::path::{Path, PathBuf};

/// Such a file; removed when dropped, unless somebody else has written to it meanwhile.
pub(super) struct Pidfile {
    path: PathBuf,
    text: String,
}

impl Pidfile {
    /// Writes it: first as `PATH.new`, so that nobody reads half of it.
    pub(super) fn write(path: &Path) -> io::Result<Pidfile> {
        let text = format!("{}\n", sys::process::own_pid());
        let mut new = path.as_os_str().to_os_string();
        new.push(".new");
        let written = std::fs::write(&new, &text).and_then(|()| sys::fd::rename(Path::new(&new), path));
        if written.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        written.map(|()| Pidfile { path: path.to_path_buf(), text })
    }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        if std::fs::read(&self.path).is_ok_and(|found| found == self.text.as_bytes()) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
