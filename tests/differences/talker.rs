//! A service with a logger, that says what a test tells it to say.

use std::fs::File;
use std::io::Write;

use testkit::Scratch;

/// The service `scan/a`, which copies a FIFO to its stdout.
pub struct Talker {
    /// Held open: what stands in it when the service dies is read by the next one.
    fifo: File,
}

impl Talker {
    /// Makes the service directory, with `log` as the body of its logger's `run`.
    pub fn make(scratch: &Scratch, log: &str) -> Talker {
        scratch.service("scan/a", "exec cat <>fifo");
        scratch.service("scan/a/log", log);
        let fifo = scratch.path("scan/a/fifo");
        sys::fd::make_fifo(&fifo).expect("a FIFO");
        Talker { fifo: File::options().read(true).write(true).open(fifo).expect("it is there") }
    }

    /// Lets it say a line.
    pub fn say(&mut self, word: &str) {
        writeln!(self.fifo, "{word}").expect("it can be written");
    }
}
