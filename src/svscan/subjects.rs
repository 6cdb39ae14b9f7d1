//! The subjects of warnings. Each kind of trouble with each directory gets a warning of its own, which is forgotten when the name is gone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// Returns the subject of warnings of this kind about a service directory, or about its `log`.
pub fn subject(kind: &[u8], dir: &OsStr) -> Vec<u8> {
    [kind, b" ", dir.as_bytes()].concat()
}

/// Returns the name in the scan directory that a [`subject`] is about; `None` if it is about svscan itself.
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
