//! Words for sh.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A word as sh has to read it to get these bytes: in quotes where it would take them for more.
pub fn quoted(word: &OsStr) -> Vec<u8> {
    let bytes = word.as_bytes();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-+_./,:@%".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(is_plain) {
        return bytes.to_vec();
    }
    let parts: Vec<&[u8]> = bytes.split(|&byte| byte == b'\'').collect();
    [b"'", parts.join(&b"'\\''"[..]).as_slice(), b"'"].concat()
}

/// Words with a blank between them.
pub fn line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> Vec<u8> {
    words.into_iter().map(quoted).collect::<Vec<_>>().join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_quotes_has_them() {
        for (word, expected) in [
            ("/usr/bin/web-1_2.x", "/usr/bin/web-1_2.x"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", "'it'\\''s'"),
            ("'", "''\\'''"),
            ("$HOME", "'$HOME'"),
            ("a\nb", "'a\nb'"),
            ("x=y", "'x=y'"),
            ("~", "'~'"),
            ("#", "'#'"),
        ] {
            assert_eq!(quoted(OsStr::new(word)), expected.as_bytes(), "{word:?}");
        }
        assert_eq!(quoted(OsStr::from_bytes(b"\xff")), b"'\xff'");
        assert_eq!(line(["a", "b c"].map(OsStr::new)), b"a 'b c'");
    }
}
