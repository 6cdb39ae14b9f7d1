//! What is told of services that are waited for: a line for each that has got there, or not, and until then a line of progress on a terminal, which is gone when another is written.

use std::io::IsTerminal;

use sys::terminal;

use super::shown;

/// The numbers of colours (SGR, ECMA-48).
const GREEN: u8 = 32;
const RED: u8 = 31;

/// The line of progress, which stands on stderr.
pub struct Line {
    is_terminal: bool,
    /// How many characters of it stand there.
    length: usize,
}

impl Line {
    /// Nothing stands there, and nothing ever will where stderr is no terminal.
    pub fn new() -> Line {
        Line { is_terminal: std::io::stderr().is_terminal(), length: 0 }
    }

    /// Returns whether somebody looks on.
    pub const fn is_seen(&self) -> bool {
        self.is_terminal
    }

    /// Writes it, cut to the terminal, in place of what stood there.
    pub fn show(&mut self, text: &str) {
        if !self.is_terminal {
            return;
        }
        // The last column stays free: some terminals go to the next line behind it.
        let room = terminal::columns(sys::fd::stderr()).unwrap_or(80).saturating_sub(1);
        let shown: String = text.chars().take(room).collect();
        let length = shown.chars().count();
        let rest = " ".repeat(self.length.saturating_sub(length));
        let back = "\u{8}".repeat(rest.len());
        cli::print_error(format!("\r{shown}{rest}{back}").as_bytes());
        self.length = length;
    }

    /// Removes it.
    pub fn clear(&mut self) {
        if self.length > 0 {
            self.show("");
            cli::print_error(b"\r");
        }
    }

    /// Tells that a service has got there. `what` has the colour, and `more` comes behind it.
    pub fn done(&mut self, name: &str, what: &str, more: &str) {
        self.clear();
        let line = about(name, what, more, GREEN, std::io::stdout().is_terminal());
        // If stdout cannot be written, there is nobody to tell.
        let _ = sys::fd::write_all(sys::fd::stdout(), line.as_bytes());
    }

    /// Tells that a service has not got there. `not` has the colour, and `why` comes behind it.
    pub fn failed(&mut self, name: &str, not: &str, why: &str) {
        self.clear();
        let line = about(name, not, &format!(": {why}"), RED, std::io::stderr().is_terminal());
        cli::print_error(line.as_bytes());
    }
}

/// The line about a service, with this colour for what it is.
fn about(name: &str, what: &str, more: &str, colour: u8, is_terminal: bool) -> String {
    if shown::is_coloured(is_terminal) {
        format!("{name}: \x1b[{colour}m{what}\x1b[0m{more}\n")
    } else {
        format!("{name}: {what}{more}\n")
    }
}
