//! The line of progress on a terminal, which is gone when something else is written.

use std::io::IsTerminal;

use sys::terminal;

/// The line, which stands on stderr.
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
}
