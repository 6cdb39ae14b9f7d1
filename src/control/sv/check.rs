//! Runs the `check` of a service, as runit's sv does: in the service directory, without arguments and without stdout, and waits for it however long it takes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use svdir::names;
use sys::descriptors;
use sys::exec::Prepared;
use sys::limits::{self, Resource};
use sys::process::{self, Change};

use super::said::warn_of_file;

/// Returns whether the service of the current directory, which messages call `name`, passes its check. One without a check does, and so does one whose check cannot be
/// run. `open_files` is the soft limit that the check gets.
pub fn succeeds(name: &OsStr, open_files: Option<u64>) -> bool {
    if let Err(error) = std::fs::metadata(Path::new(names::CHECK)) {
        if error.kind() != io::ErrorKind::NotFound {
            warn_of_file("stat", name, names::CHECK, &error);
        }
        return error.kind() == io::ErrorKind::NotFound;
    }
    let argv = [c"./check".to_owned()];
    let prepared = Prepared::new(&argv, None);
    let become_check = || {
        let _ = descriptors::close_standard(1);
        let _ = open_files.map(|soft| limits::set_soft(Resource::RLIMIT_NOFILE, soft));
        prepared.exec(c"check")
    };
    let mut was_run = true;
    let unable = |error| {
        warn_of_file("run", name, names::CHECK, &error);
        was_run = false;
    };
    let child = match process::spawn(become_check, unable) {
        Ok(child) => child,
        Err(error) => {
            warn_of_file("fork for", name, names::CHECK, &error);
            return false;
        }
    };
    match process::wait(child) {
        Ok(change) => !was_run || change == Change::Exited(0),
        Err(error) => {
            warn_of_file("wait for child", name, names::CHECK, &error);
            false
        }
    }
}
