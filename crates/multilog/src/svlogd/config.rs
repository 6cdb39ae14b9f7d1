//! `config`, the settings of a log directory: one to a line, and its first byte says which.
//!
//! No line is an error but an address that is none. A line whose first byte means nothing does nothing, and what is not a number is 0.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::Pattern;
use crate::script::number;
use crate::svlogd::selection::{Selection, Verb};

/// The port to which lines are sent if the address names none: syslog's.
const PORT: u16 = 514;

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// `s`: how many bytes a file may hold; 0 if there is no bound.
    pub size: u64,
    /// `n`: how many old files may be kept; 0 if there is no bound.
    pub kept: u64,
    /// `N`: how many old files stay on a full disk.
    pub least: u64,
    /// `t`: how old a file may become, in nanoseconds, if there is a limit.
    pub age: Option<u64>,
    /// `!`: the command that processes each finished file.
    pub processor: Option<Vec<u8>>,
    /// What the other lines say.
    pub selection: Selection,
}

impl Default for Config {
    fn default() -> Config {
        Config { size: 1_000_000, kept: 10, least: 10, age: None, processor: None, selection: Selection::default() }
    }
}

impl Config {
    /// Parses a file. `wrong` is told of each line that makes no sense: what is wrong with it, and its text.
    pub fn parse(text: &[u8], mut wrong: impl FnMut(&str, &[u8])) -> Config {
        let mut config = Config::default();
        // A last line of one byte that no newline ends is passed over.
        let text = match text {
            [_] => b"",
            [front @ .., b'\n', _] => front,
            _ => text,
        };
        for line in text.split(|&byte| byte == b'\n') {
            config.take(line, &mut wrong);
        }
        config
    }

    fn take(&mut self, line: &[u8], wrong: &mut impl FnMut(&str, &[u8])) {
        // Texts end at a NUL. Of what is behind one, only patterns count.
        let mut texts = line.split(|&byte| byte == 0);
        let Some((&first, value)) = texts.next().and_then(<[u8]>::split_first) else {
            return;
        };
        match first {
            b'+' | b'-' | b'e' | b'E' => {
                self.pattern(first, value);
                for (&first, value) in texts.filter_map(<[u8]>::split_first) {
                    self.pattern(first, value);
                }
            }
            b's' => {
                self.size = counted(value, |unit| match unit {
                    b'k' => 1 << 10,
                    b'm' => 1 << 20,
                    _ => 1,
                });
            }
            b'n' => self.kept = number(value),
            b'N' => self.least = number(value),
            b't' => {
                let seconds = counted(value, |unit| match unit {
                    b'm' => 60,
                    b'h' => 3_600,
                    _ => 1,
                });
                self.age = (seconds > 0).then(|| seconds.saturating_mul(1_000_000_000));
            }
            b'!' if !value.is_empty() => self.processor = Some(value.to_vec()),
            b'p' if !value.is_empty() => self.selection.prefix = value.to_vec(),
            b'u' | b'U' => {
                self.selection.only |= first == b'U';
                match address(value) {
                    Ok(address) => self.selection.address = address,
                    Err((what, text)) => wrong(what, text),
                }
            }
            _ => {}
        }
    }

    fn pattern(&mut self, first: u8, value: &[u8]) {
        let verb = match first {
            b'+' => Verb::Select,
            b'-' => Verb::Deselect,
            b'e' => Verb::Show,
            b'E' => Verb::Hide,
            _ => return,
        };
        self.selection.patterns.push((verb, Pattern::compile_with_plus(value)));
    }
}

/// How many digits `text` begins with.
fn digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Reads a number, times what the byte behind it stands for.
fn counted(value: &[u8], unit: impl Fn(u8) -> u64) -> u64 {
    number(value).saturating_mul(value.get(digits(value)).map_or(1, |&byte| unit(byte)))
}

/// Reads an address, behind which anything may stand; `None` for port 0, which stands for no address. As in the original, only the lowest bits of a number count that
/// is too large for its place.
fn address(text: &[u8]) -> Result<Option<SocketAddrV4>, (&'static str, &[u8])> {
    let mut parts = [0; 4];
    let mut rest = text;
    for (place, part) in parts.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".").unwrap_or_default();
        }
        let (digits, behind) = rest.split_at(digits(rest));
        if digits.is_empty() {
            return Err(("unable to scan ip address", text));
        }
        *part = number(digits) as u8;
        rest = behind;
    }
    let port = match rest.strip_prefix(b":") {
        None => PORT,
        Some(port) => match number(port) {
            0 => return Err(("unable to scan port number", port)),
            port => port as u16,
        },
    };
    Ok((port != 0).then(|| SocketAddrV4::new(Ipv4Addr::from(parts), port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text.as_bytes(), |what, text| panic!("{what}: {}", String::from_utf8_lossy(text)))
    }

    fn wrong(text: &str) -> Vec<String> {
        let mut told = Vec::new();
        Config::parse(text.as_bytes(), |what, text| told.push(format!("{what}: {}", String::from_utf8_lossy(text))));
        told
    }

    #[test]
    fn what_means_nothing_does_nothing() {
        for text in ["", "\n\n", "# s5\n", "x\nq5\nS7\n!\np\n", " s5\n", "\0s5\n", "s", "+"] {
            assert_eq!(parse(text), Config::default(), "{text:?}");
        }
    }

    #[test]
    fn sizes_have_units_and_never_wrap() {
        for (text, size) in [
            ("s20\n", 20),
            ("s20", 20),
            ("s2k\n", 2_048),
            ("s3m", 3_145_728),
            ("s3M", 3),
            ("s\n", 0),
            ("s 20\n", 0),
            ("s-5\n", 0),
            ("sk\n", 0),
            ("s5x\ns7", 7),
            ("s99999999999999999999m\n", u64::MAX),
        ] {
            assert_eq!(parse(text).size, size, "{text:?}");
        }
        let many = parse("n3\nN2x\n");
        assert_eq!((many.kept, many.least), (3, 2));
        assert_eq!(parse("n99999999999999999999\n").kept, u64::MAX);
    }

    #[test]
    fn times_have_units() {
        for (text, seconds) in [
            ("t5\n", Some(5)),
            ("t5m", Some(300)),
            ("t2h\n", Some(7_200)),
            ("t2d\n", Some(2)),
            ("t\n", None),
            ("t5\nt0\n", None),
        ] {
            assert_eq!(parse(text).age, seconds.map(|seconds: u64| seconds * 1_000_000_000), "{text:?}");
        }
        assert_eq!(parse("t99999999999999999999h").age, Some(u64::MAX));
    }

    #[test]
    fn a_text_ends_at_a_nul_and_patterns_go_on_behind_it() {
        let config = parse("!cat\0x\npa\0b\n+x\0-y\0s7\0\n");
        assert_eq!(config.processor.as_deref(), Some(&b"cat"[..]));
        assert_eq!(config.selection.prefix, b"a");
        let patterns = [(Verb::Select, Pattern::compile(b"x")), (Verb::Deselect, Pattern::compile(b"y"))];
        assert_eq!(config.selection.patterns, patterns);
        assert_eq!(config.size, 1_000_000);
    }

    #[test]
    fn addresses_have_a_port_or_that_of_syslog() {
        for (text, address, only) in [
            ("u10.1.2.3\n", Some("10.1.2.3:514"), false),
            ("U10.1.2.3:99", Some("10.1.2.3:99"), true),
            ("u10.1.2.3x:99\n", Some("10.1.2.3:514"), false),
            ("u266.1.2.3:65537\n", Some("10.1.2.3:1"), false),
            ("u10.1.2.3:65536\n", None, false),
        ] {
            let Selection { address: found, only: alone, .. } = parse(text).selection;
            assert_eq!((found.map(|found| found.to_string()).as_deref(), alone), (address, only), "{text:?}");
        }
        for (text, told) in [
            ("ulocalhost\n", "unable to scan ip address: localhost"),
            ("u1.2.3\n", "unable to scan ip address: 1.2.3"),
            ("u1.2.3.\n", "unable to scan ip address: 1.2.3."),
            ("u 1.2.3.4\n", "unable to scan ip address:  1.2.3.4"),
            ("U1.2.3.4:x\n", "unable to scan port number: x"),
            ("u1.2.3.4:\n", "unable to scan port number: "),
        ] {
            assert_eq!(wrong(text), [told]);
        }
    }
}
