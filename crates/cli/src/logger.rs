//! The log of svscan and supervise, which `UPHOLD_LOG=info` or `debug` asks for.

use std::env;
use std::io::{self, Write};

use env_logger::Target;
use log::Level;

use crate::print_error;

/// The variable that asks for the log.
const VARIABLE: &str = "UPHOLD_LOG";

/// Sends the lines of `log` to stderr as `PROG: info: TEXT`, if the variable asks for any.
///
/// Without the variable nothing is set up, and a call of `log::info!` costs one comparison.
pub fn init(program: &'static str) {
    let Some(filter) = env::var_os(VARIABLE) else {
        return;
    };
    let _ = env_logger::Builder::new()
        .parse_filters(&filter.to_string_lossy())
        .target(Target::Pipe(Box::new(Errors)))
        .format(move |to, record| writeln!(to, "{program}: {}: {}", word(record.level()), record.args()))
        .try_init();
}

/// Writes log lines to stderr as messages are written: without waiting, if the program has asked for that.
struct Errors;

impl Write for Errors {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        print_error(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "fatal",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}
