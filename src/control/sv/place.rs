//! Where sv looks for services.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use crate::service::home::Home;
use crate::service::scan_dir;

use super::said::Said;

/// The directory in which sv was called, and the one where it looks for services by name.
pub struct Place {
    home: Home,
    scan: Option<PathBuf>,
}

impl Place {
    /// Opens the current directory.
    ///
    /// # Errors
    /// If that is not possible.
    pub fn open() -> anyhow::Result<Place> {
        // As in runit, an empty SVDIR is no directory.
        let scan = std::env::var_os(scan_dir::VARIABLE).map(PathBuf::from).or_else(scan_dir::directory);
        Ok(Place { home: Home::open()?, scan })
    }

    /// Runs `there` in the directory of the service `name`. `None` if that cannot be entered, which is said.
    ///
    /// # Errors
    /// If there is no way back.
    pub fn visit<T>(
        &self,
        name: &OsStr,
        said: &mut Said,
        there: impl FnOnce(&mut Said) -> T,
    ) -> anyhow::Result<Option<T>> {
        match self.home.visit_by(|| self.enter(name), || there(&mut *said))? {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                said.fail(name, "unable to change to service directory", Some(&error));
                Ok(None)
            }
        }
    }

    /// Enters a service directory. A name that begins with a dot or a slash, or ends with a slash, is a path; another one is looked for in the scan directory, and
    /// nowhere else.
    fn enter(&self, name: &OsStr) -> io::Result<()> {
        let is_path = matches!(name.as_encoded_bytes(), [] | [b'.' | b'/', ..] | [.., b'/']);
        if !is_path {
            std::env::set_current_dir(self.scan.as_ref().ok_or(io::Error::from_raw_os_error(sys::ENOENT))?)?;
        }
        std::env::set_current_dir(name)
    }
}
