//! What keeps a service directory from being a service.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use cli::reason;
use svdir::names;

/// It may not be executed by anybody.
pub const NOT_EXECUTABLE: &str = "run is not executable";

/// What is wrong with `run` of the current directory if it cannot be executed: then the service was never started. `None` if nothing is.
pub fn with_run() -> Option<String> {
    let run = match fs::metadata(names::RUN) {
        Ok(run) => run,
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Some(format!("unable to stat run: {}", reason(&error)));
        }
        Err(_) if fs::symlink_metadata(names::RUN).is_ok() => {
            return Some("run is a link to a file that does not exist".to_owned());
        }
        // It may be a service that its `start` sets up, or a name for others.
        Err(_) => {
            let others = [names::START, names::DEPENDENCIES, names::WANTS];
            let has_others = others.iter().any(|name| fs::metadata(name).is_ok());
            return (!has_others).then(|| "run does not exist".to_owned());
        }
    };
    if run.is_dir() {
        Some("run is a directory".to_owned())
    } else if run.permissions().mode() & 0o111 == 0 {
        Some(NOT_EXECUTABLE.to_owned())
    } else {
        None
    }
}
