//! Words as they are typed in a shell, and back. Nothing is expanded.

/// A word that is being typed.
#[derive(Debug, PartialEq, Eq)]
pub struct Typed {
    /// Without its quotes.
    pub plain: Vec<u8>,
    /// The quote that is still open at its end.
    open: Option<u8>,
}

/// What double quotes leave special.
const SPECIAL: &[u8] = b"\"\\$`";

impl Typed {
    /// Takes the quotes away.
    pub fn read(word: &[u8]) -> Typed {
        let (mut plain, mut open) = (Vec::new(), None);
        let mut bytes = word.iter().copied().peekable();
        while let Some(byte) = bytes.next() {
            match (open, byte) {
                (None, b'\'' | b'"') => open = Some(byte),
                (Some(quote), _) if quote == byte => open = None,
                (None, b'\\') => plain.extend(bytes.next()),
                (Some(b'"'), b'\\') if bytes.peek().is_some_and(|next| SPECIAL.contains(next)) => {
                    plain.extend(bytes.next());
                }
                _ => plain.push(byte),
            }
        }
        Typed { plain, open }
    }

    /// How `word` is to stand in the place of this one; `None` if it cannot stand in the quotes that are open.
    pub fn with(&self, word: &[u8]) -> Option<Vec<u8>> {
        match self.open {
            None => Some(quoted(word)),
            // `!` recalls old lines, also between double quotes.
            Some(_) => (!word.iter().any(|byte| SPECIAL.contains(byte) || b"'!".contains(byte))).then(|| word.to_vec()),
        }
    }
}

/// With a backslash before each byte that may mean something to a shell.
fn quoted(word: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(word.len());
    for &byte in word {
        if !(byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_@%+=:,./-".contains(&byte)) {
            quoted.push(b'\\');
        }
        quoted.push(byte);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(word: &str) -> (String, Option<char>) {
        let Typed { plain, open } = Typed::read(word.as_bytes());
        (String::from_utf8(plain).expect("UTF-8"), open.map(char::from))
    }

    #[test]
    fn a_word_loses_its_quotes() {
        for (word, expected, open) in [
            ("web", "web", None),
            (r"my\ web", "my web", None),
            ("'my web'@1", "my web@1", None),
            ("'my w", "my w", Some('\'')),
            (r#""a\"b\c"#, r#"a"b\c"#, Some('"')),
            (r"'a\'", r"a\", None),
            ("$(reboot)", "$(reboot)", None),
            (r"web\", "web", None),
            ("", "", None),
        ] {
            assert_eq!(plain(word), (expected.to_owned(), open), "{word}");
        }
    }

    #[test]
    fn a_word_that_is_quoted_is_the_same_without_quotes() {
        for word in ["web@1", "my web", "a'b\"c", "$(reboot)", "`x`;&|<>*?[~#!", "b\u{e4}r"] {
            let shown = Typed::read(b"").with(word.as_bytes()).expect("no quote is open");
            assert_eq!(Typed::read(&shown).plain, word.as_bytes());
        }
        assert_eq!(quoted(b"web@1/log"), b"web@1/log");
        assert_eq!(quoted(b"a b$"), b"a\\ b\\$");
    }

    #[test]
    fn what_quotes_do_not_hold_is_not_offered_between_them() {
        let open = Typed::read(b"'my");
        assert_eq!(open.with(b"my web"), Some(b"my web".to_vec()));
        for word in ["a'b", "$x", "`x`", "a!b"] {
            assert_eq!(open.with(word.as_bytes()), None, "{word}");
        }
    }
}
