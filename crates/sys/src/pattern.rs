//! The patterns of the shell.

use std::ffi::CString;

/// Returns whether a name matches a pattern of the shell: `*`, `?`, and `[` with what may stand there. As in the shell, a leading dot is matched only by a dot.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (Ok(pattern), Ok(name)) = (CString::new(pattern), CString::new(name)) else {
        return false;
    };
    // SAFETY: both are strings with a NUL at the end, and are only read.
    unsafe { libc::fnmatch(pattern.as_ptr(), name.as_ptr(), libc::FNM_PERIOD) == 0 }
}

/// Returns whether a word is a pattern: something in it stands for other bytes.
pub fn is_pattern(word: &[u8]) -> bool {
    word.iter().any(|byte| b"*?[".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_names_without_a_leading_dot() {
        for (pattern, name, expected) in [
            ("web*", "web", true),
            ("web*", "web@1", true),
            ("*", ".hidden", false),
            ("w?b", "web", true),
            ("w[a-f]b", "web", true),
            ("w[!e]b", "web", false),
            ("web", "webb", false),
            ("\\*", "*", true),
            ("w*\0", "web", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
        assert!(is_pattern(b"web@*") && is_pattern(b"a[bc]") && !is_pattern(b"web@1"));
    }
}
