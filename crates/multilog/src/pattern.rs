//! The patterns of multilog and svlogd, compiled once.
//!
//! They are not globs: a star takes everything up to the *first* occurrence of the byte that follows it in the pattern,
//! without backtracking. At the end of the pattern it takes the rest. All other bytes stand for themselves. So `**`
//! matches any line that contains a star: the first star looks for the byte of the second, and the second, at the end of
//! the pattern, takes the rest.
//!
//! To svlogd a plus stands for the byte behind it, once or more. Where the line ends among these, it matches whatever the pattern still
//! wants: so `a+bc` matches `ab`.

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
    /// This byte, once or more, and nothing else in a line that ends with it; nothing at all if there is no byte.
    Run(Option<u8>),
}

impl Pattern {
    /// Compiles a pattern of multilog. Every sequence of bytes is a pattern.
    pub fn compile(text: &[u8]) -> Pattern {
        Pattern::parse(text, false)
    }

    /// Compiles a pattern of svlogd, in which a plus has a meaning. A plus at the end matches nothing.
    pub fn compile_with_plus(text: &[u8]) -> Pattern {
        Pattern::parse(text, true)
    }

    fn parse(mut text: &[u8], plus: bool) -> Pattern {
        let is_special = |byte: &u8| *byte == b'*' || (plus && *byte == b'+');
        let mut steps = Vec::new();
        while let Some((&first, behind)) = text.split_first() {
            let (step, rest) = match (first, behind.split_first()) {
                (b'*', None) => (Step::Rest, behind),
                (b'*', Some((&byte, _))) => (Step::Until(byte), behind),
                (b'+', next) if plus => (Step::Run(next.map(|(&byte, _)| byte)), next.map_or(behind, |(_, rest)| rest)),
                _ => {
                    let (literal, rest) = text.split_at(text.iter().position(is_special).unwrap_or(text.len()));
                    (Step::Literal(literal.to_vec()), rest)
                }
            };
            steps.push(step);
            text = rest;
        }
        Pattern(steps)
    }

    /// Returns whether the pattern matches the whole of `line`.
    // A call for each pattern and line costs a fifteenth of the time of ten patterns.
    #[inline(always)]
    pub fn matches(&self, line: &[u8]) -> bool {
        let mut left = line;
        for step in &self.0 {
            let rest = match step {
                Step::Literal(bytes) => behind(bytes, left),
                Step::Until(byte) => memchr(*byte, left).and_then(|at| left.get(at..)),
                Step::Rest => return true,
                Step::Run(byte) => {
                    let length = run(*byte, left);
                    if length > 0 && length == left.len() {
                        return true;
                    }
                    left.get(length..).filter(|_| length > 0)
                }
            };
            let Some(rest) = rest else {
                return false;
            };
            left = rest;
        }
        left.is_empty()
    }
}

/// How many times `line` begins with the byte. Few patterns ask, and those that do not are to be as quick as if none could.
#[cold]
fn run(byte: Option<u8>, line: &[u8]) -> usize {
    line.iter().take_while(|found| Some(**found) == byte).count()
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

    /// svlogd's rule, byte by byte.
    fn model_with_plus(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*'], _) => true,
            ([b'*', next, ..], [byte, ..]) if next == byte => model_with_plus(&pattern[1..], text),
            ([b'*', _, ..], [_, rest @ ..]) => model_with_plus(pattern, rest),
            ([b'+', next, behind @ ..], [byte, ..]) if next == byte => {
                let rest = text.iter().position(|found| found != next);
                rest.is_none_or(|at| model_with_plus(behind, &text[at..]))
            }
            ([b'+' | b'*', ..], _) => false,
            ([first, behind @ ..], [byte, rest @ ..]) => first == byte && model_with_plus(behind, rest),
            ([_, ..], []) => false,
        }
    }

    proptest! {
        #[test]
        fn a_pattern_of_svlogd_matches_what_its_rule_says(
            pattern in vec(prop::sample::select(b"*+ab".to_vec()), 0..8),
            text in vec(prop::sample::select(b"*+ab\0".to_vec()), 0..12),
        ) {
            let found = Pattern::compile_with_plus(&pattern).matches(&text);
            prop_assert_eq!(found, model_with_plus(&pattern, &text));
        }
    }

    #[test]
    fn a_plus_takes_a_byte_once_or_more() {
        for (pattern, text, expected) in [
            ("a+b", "ab", true),
            ("a+b", "abbb", true),
            ("a+b", "a", false),
            ("a+b", "aabb", false),
            ("a+b", "abbc", false),
            ("a+bc", "abbc", true),
            ("a+bc", "ab", true),
            ("a+bc", "a", false),
            ("+", "", false),
            ("a+", "a", false),
            ("a+", "a+", false),
            ("*+x", "a+x", false),
            ("++", "+++", true),
            ("+*", "**", true),
        ] {
            let found = Pattern::compile_with_plus(pattern.as_bytes()).matches(text.as_bytes());
            assert_eq!(found, expected, "{pattern} {text}");
        }
        assert!(Pattern::compile(b"a+b").matches(b"a+b"));
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
