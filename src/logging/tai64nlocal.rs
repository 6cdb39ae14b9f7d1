//! tai64nlocal: makes the TAI64N labels in front of lines readable, in local time.

use std::io;

use tai::Localizer;

use crate::service::local_time::Times;

use super::tai64n::write_out;

const TAI64NLOCAL: cli::Program = cli::Program {
    name: "tai64nlocal",
    synopsis: "",
    usage: "tai64nlocal: usage: tai64nlocal",
    usage_exit: cli::USAGE,
    about: "Copies stdin to stdout. A TAI64N label at the very front of a line becomes its local time, \
            YYYY-MM-DD HH:MM:SS.NNNNNNNNN; TZ says where local is. Operands are ignored.",
    options: &[],
};

const BLOCK: usize = 65_536;

/// Converts lines until the end of input.
pub fn main(call: cli::Call) -> i32 {
    TAI64NLOCAL.run(&call, |_| Ok(copy().map_or(cli::TEMPORARY, |()| 0)))
}

/// Copies stdin to stdout. Errors are not printed, as in the original.
fn copy() -> io::Result<()> {
    let mut input = Vec::with_capacity(BLOCK);
    let mut output = Vec::new();
    let mut localizer = Localizer::default();
    let mut times = Times::local();
    while sys::fd::read_onto(sys::fd::stdin(), &mut input, BLOCK)? > 0 {
        localizer.feed(&input, |seconds, out| times.put(seconds, out), &mut output);
        write_out(&mut output)?;
    }
    Ok(())
}
