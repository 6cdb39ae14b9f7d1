//! The commands of sv. The first letter counts, but for some words that must be whole.

/// What sv is to do about each service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Tell its status.
    Status,
    /// Send letters, or none for a mere check.
    Act(Act),
}

/// Letters for supervise, and what is to come of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// The letters for runsv. sv waits until the service is as each of them wants it.
    pub letters: &'static [u8],
    /// sv waits even without `-v`.
    pub waits: bool,
    /// The service is killed if it is too late.
    pub kills: bool,
}

/// Stands in the letters for `check`, which sends nothing.
pub const CHECK: u8 = b'C';

impl Verb {
    /// Reads a command. Under the name of a service, as an LSB init script, `s` is no short form. `None` for what is no command.
    pub fn parse(word: &[u8], lsb: bool) -> Option<Verb> {
        let act = |letters, waits, kills| Some(Verb::Act(Act { letters, waits, kills }));
        let waiting = |letters| act(letters, true, false);
        let killing = |letters| act(letters, true, true);
        let plain = |letters| act(letters, false, false);
        match word {
            b"start" => waiting(b"u"),
            b"stop" => waiting(b"d"),
            b"shutdown" => waiting(b"x"),
            b"reload" => waiting(b"h"),
            b"restart" => waiting(b"tcu"),
            b"try-restart" => waiting(b"tc"),
            b"check" => waiting(&[CHECK]),
            b"force-stop" | [b'D', ..] => killing(b"d"),
            b"force-reload" | [b'T', ..] => killing(b"tc"),
            b"force-restart" => killing(b"tcu"),
            b"force-shutdown" | [b'E' | b'X', ..] => killing(b"x"),
            b"status" => Some(Verb::Status),
            [b's', ..] if !lsb => Some(Verb::Status),
            [b'e' | b'x', ..] => plain(b"x"),
            [b'u', ..] => plain(b"u"),
            [b'd', ..] => plain(b"d"),
            [b'o', ..] => plain(b"o"),
            [b'p', ..] => plain(b"p"),
            [b'c', ..] => plain(b"c"),
            [b'h', ..] => plain(b"h"),
            [b'a', ..] => plain(b"a"),
            [b'i', ..] => plain(b"i"),
            [b'q', ..] => plain(b"q"),
            [b'1', ..] => plain(b"1"),
            [b'2', ..] => plain(b"2"),
            [b't', ..] => plain(b"t"),
            [b'k', ..] => plain(b"k"),
            _ => None,
        }
    }
}

impl Act {
    /// Returns whether it ends the supervise.
    pub fn exits(&self) -> bool {
        self.letters == b"x"
    }

    /// The letters for a supervise of this suite. There `x` alone waits until the service ends; and a restart is asked for as such, so that the knobs about ends hold
    /// for it.
    pub fn our_letters(&self) -> &'static [u8] {
        match self.letters {
            b"x" => b"dx",
            b"tc" => b"rc",
            b"tcu" => b"rcu",
            letters => letters,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters(word: &str) -> Option<(&'static str, bool, bool)> {
        match Verb::parse(word.as_bytes(), false)? {
            Verb::Status => Some(("", false, false)),
            Verb::Act(Act { letters, waits, kills }) => {
                Some((std::str::from_utf8(letters).expect("ASCII"), waits, kills))
            }
        }
    }

    #[test]
    fn words_are_whole_and_letters_are_not() {
        for (words, expected) in [
            (&["status", "s", "stuff", "starts", "stopp", "shut"][..], ("", false, false)),
            (&["u", "up", "update"], ("u", false, false)),
            (&["start"], ("u", true, false)),
            (&["t", "term", "try-restarts"], ("t", false, false)),
            (&["try-restart"], ("tc", true, false)),
            (&["restart"], ("tcu", true, false)),
            (&["reload"], ("h", true, false)),
            (&["check"], ("C", true, false)),
            (&["c", "cont", "checks"], ("c", false, false)),
            (&["e", "exit", "x", "xyz"], ("x", false, false)),
            (&["shutdown"], ("x", true, false)),
            (&["force-stop", "D", "Down"], ("d", true, true)),
            (&["force-reload", "T"], ("tc", true, true)),
            (&["force-restart"], ("tcu", true, true)),
            (&["force-shutdown", "E", "X", "Xx"], ("x", true, true)),
            (&["1"], ("1", false, false)),
        ] {
            for word in words {
                assert_eq!(letters(word), Some(expected), "{word}");
            }
        }
        for word in [
            "",
            "b",
            "bogus",
            "g",
            "j",
            "l",
            "m",
            "n",
            "v",
            "w",
            "y",
            "z",
            "A",
            "S",
            "U",
            "r",
            "rest",
            "f",
            "force-stopp",
            "3",
            "-",
        ] {
            assert_eq!(letters(word), None, "{word}");
        }
    }

    #[test]
    fn a_status_has_no_short_form_where_the_name_is_that_of_the_service() {
        assert_eq!(Verb::parse(b"status", true), Some(Verb::Status));
        assert_eq!(Verb::parse(b"st", true), None);
        assert_eq!(Verb::parse(b"up", true), Verb::parse(b"u", false));
    }
}
