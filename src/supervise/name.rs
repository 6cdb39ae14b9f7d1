//! What a service is called.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use svdir::names;

/// The name of the service: `web` or `web/log` if svscan calls it so, otherwise the last part of the path of the
/// service directory, which is the current one.
pub fn name(dir: &OsStr) -> Vec<u8> {
    let path = Path::new(dir);
    let parts: Vec<_> = path.components().filter(|part| *part != Component::CurDir).collect();
    match parts.as_slice() {
        [Component::Normal(service), Component::Normal(log)] if *log == names::LOG => {
            [service.as_bytes(), b"/", log.as_bytes()].concat()
        }
        [.., Component::Normal(last)] => last.as_bytes().to_vec(),
        _ => {
            let here = std::env::current_dir().unwrap_or_default();
            here.file_name().map(|last| last.as_bytes().to_vec()).unwrap_or_default()
        }
    }
}

/// Returns whether svscan calls the service a logger.
pub fn is_logger(dir: &OsStr) -> bool {
    name(dir).contains(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_that_in_the_scan_directory() {
        for (dir, expected) in [
            ("web", "web"),
            ("./web/", "web"),
            ("web/log", "web/log"),
            ("/etc/sv/web", "web"),
            ("/etc/sv/web/log", "log"),
            ("log", "log"),
        ] {
            assert_eq!(name(OsStr::new(dir)), expected.as_bytes(), "{dir}");
        }
        let here = std::env::current_dir().expect("it is there");
        assert_eq!(name(OsStr::new(".")), here.file_name().expect("it has a name").as_bytes());
    }
}
