//! What svscan and supervise tell when asked to by `UPHOLD_LOG=info` or `debug`.

use std::env;
use std::io::Write;

use log::Level;

/// Name of the variable.
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
        .format(move |to, record| writeln!(to, "{program}: {}: {}", word(record.level()), record.args()))
        .try_init();
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "fatal",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}
