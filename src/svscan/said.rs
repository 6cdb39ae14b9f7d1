//! What warnings are about: each kind of trouble with each directory is said by itself, and forgotten with the name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The subject of a warning of this kind about a service directory, or its `log`.
pub fn subject(kind: &[u8], dir: &OsStr) -> Vec<u8> {
    [kind, b" ", dir.as_bytes()].concat()
}

/// The name in the scan directory that a [`subject`] is about; `None` for one that is about svscan itself.
pub fn name_of(subject: &[u8]) -> Option<&OsStr> {
    let at = subject.iter().position(|&byte| byte == b' ')?;
    subject[at + 1..].split(|&byte| byte == b'/').next().map(OsStr::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_about_a_name_or_about_svscan() {
        for dir in ["a b", "a b/log"] {
            assert_eq!(name_of(&subject(b"fork", OsStr::new(dir))), Some(OsStr::new("a b")));
        }
        assert_eq!(name_of(b"watch"), None);
    }
}
