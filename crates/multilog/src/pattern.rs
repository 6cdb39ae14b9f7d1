//! The patterns of `+` and `-`, compiled once.
//!
//! They are not globs: a star takes everything up to the *first* occurrence of the byte that follows it in the pattern,
//! without backtracking. At the end of the pattern it takes the rest. All other bytes stand for themselves. So `**`
//! matches any line that contains a star: the first star looks for the byte of the second, and the second, at the end of
//! the pattern, takes the rest.

use memchr::memchr;

/// A compiled pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// These bytes.
    Literal(Vec<u8>),
    /// Everything before this byte.
    Until(u8),
    /// Everything.
    Rest,
}

impl Pattern {
    /// Compiles a pattern. Every sequence of bytes is a pattern.
    pub fn compile(mut text: &[u8]) -> Pattern {
        let mut steps = Vec::new();
        while let Some((&first, behind)) = text.split_first() {
            if first == b'*' {
                steps.push(behind.first().map_or(Step::Rest, |&byte| Step::Until(byte)));
                text = behind;
            } else {
                let (literal, rest) = text.split_at(memchr(b'*', text).unwrap_or(text.len()));
                steps.push(Step::Literal(literal.to_vec()));
                text = rest;
            }
        }
        Pattern(steps)
    }

    /// Returns whether the pattern matches the whole of `line`.
    pub fn matches(&self, line: &[u8]) -> bool {
        let mut left = line;
        for step in &self.0 {
            let rest = match step {
                Step::Literal(bytes) => behind(bytes, left),
                Step::Until(byte) => memchr(*byte, left).and_then(|at| left.get(at..)),
                Step::Rest => return true,
            };
            let Some(rest) = rest else {
                return false;
            };
            left = rest;
        }
        left.is_empty()
    }
}

/// What follows `literal` in `line`; `None` if the line does not begin with it. Most lines that do not differ in the first bytes already. These are compared
/// here, which takes less time than the call of a function that compares.
fn behind<'a>(literal: &[u8], line: &'a [u8]) -> Option<&'a [u8]> {
    const FIRST: usize = 4;
    let (first, rest) = literal.split_at(literal.len().min(FIRST));
    let (front, line) = line.split_at_checked(first.len())?;
    if front.iter().eq(first) { line.strip_prefix(rest) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The rule, byte by byte as the manual states it.
    fn model(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], []) => true,
            ([], _) => false,
            ([b'*'], _) => true,
            ([b'*', next, ..], [byte, ..]) if next == byte => model(&pattern[1..], text),
            ([b'*', _, ..], [_, rest @ ..]) => model(pattern, rest),
            ([b'*', _, ..], []) => false,
            ([first, behind @ ..], [byte, rest @ ..]) if first == byte => model(behind, rest),
            ([_, ..], _) => false,
        }
    }

    proptest! {
        #[test]
        fn a_compiled_pattern_matches_what_the_rule_says(
            pattern in vec(prop::sample::select(b"*ab ".to_vec()), 0..8),
            text in vec(prop::sample::select(b"*ab \0\xff".to_vec()), 0..12),
        ) {
            prop_assert_eq!(Pattern::compile(&pattern).matches(&text), model(&pattern, &text));
        }

        #[test]
        fn any_bytes_are_a_pattern(pattern in vec(any::<u8>(), 0..40), text in vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(Pattern::compile(&pattern).matches(&text), model(&pattern, &text));
        }

        #[test]
        fn a_text_without_stars_matches_itself_only(text in "[^*]{0,20}", other in "[^*]{0,20}") {
            let pattern = Pattern::compile(text.as_bytes());
            prop_assert!(pattern.matches(text.as_bytes()));
            prop_assert_eq!(pattern.matches(other.as_bytes()), text == other);
        }
    }

    #[test]
    fn the_manual_s_examples_hold() {
        for (pattern, text, expected) in [
            ("hello", "hello world", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("a*b", "aXb", true),
            ("a*b", "aXbb", false),
            ("a*bb", "abbb", false),
            ("*one", "oone", false),
            ("[*]: x*", "[12]: xyz", true),
            ("**", "abc", false),
            ("**", "ab*", true),
            ("** x", "a* x", true),
        ] {
            assert_eq!(Pattern::compile(pattern.as_bytes()).matches(text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
