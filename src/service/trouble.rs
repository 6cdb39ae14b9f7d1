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
    let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    if fs::symlink_metadata(names::RUN).is_err_and(is_missing) {
        // It may be a service that its `start` sets up, or a name for others.
        let others = [names::START, names::DEPENDENCIES, names::WANTS];
        let has_others = others.iter().any(|name| fs::metadata(name).is_ok());
        return (!has_others).then(|| "run does not exist".to_owned());
    }
    with_program(names::RUN)
}

/// What is wrong with a program of the current directory if it cannot be executed. `None` if nothing is, or there is no such file.
pub fn with_program(name: &str) -> Option<String> {
    let program = match fs::metadata(name) {
        Ok(program) => program,
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Some(format!("unable to stat {name}: {}", reason(&error)));
        }
        Err(_) => {
            let is_link = fs::symlink_metadata(name).is_ok();
            return is_link.then(|| format!("{name} is a link to a file that does not exist"));
        }
    };
    if program.is_dir() {
        Some(format!("{name} is a directory"))
    } else if program.permissions().mode() & 0o111 == 0 {
        Some(format!("{name} is not executable"))
    } else {
        None
    }
}
