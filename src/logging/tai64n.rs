//! tai64n: puts the time in front of each line, as a TAI64N label and a space.

use std::io;

use tai::{Label, Stamper};

const TAI64N: cli::Program = cli::Program {
    name: "tai64n",
    synopsis: "",
    usage: "tai64n: usage: tai64n",
    usage_exit: cli::USAGE,
    about: "Copies stdin to stdout with a TAI64N label and a space in front of each line. Operands are ignored.",
    options: &[],
};

/// How many bytes are read at once: the capacity of a pipe.
const BLOCK: usize = 65_536;
/// How many bytes are stamped and written at once: an empty line becomes 27 times as long.
const PIECE: usize = 4_096;

/// Stamps lines until the end of input.
pub fn main(call: cli::Call) -> i32 {
    TAI64N.run(&call, |_| Ok(copy().map_or(cli::TEMPORARY, |()| 0)))
}

/// Copies stdin to stdout. Errors are not printed, as in the original.
fn copy() -> io::Result<()> {
    let mut input = Vec::with_capacity(BLOCK);
    let mut output = Vec::new();
    let mut stamper = Stamper::default();
    while sys::fd::read_onto(sys::fd::stdin(), &mut input, BLOCK)? > 0 {
        // The clock is read once for all lines of one read.
        let (seconds, nanos) = sys::clock::wall();
        let label = Label::from_unix(seconds, nanos).text();
        for piece in input.chunks(PIECE) {
            stamper.feed(piece, &label, &mut output);
            if output.len() >= BLOCK {
                write_out(&mut output)?;
            }
        }
        write_out(&mut output)?;
    }
    Ok(())
}

/// Writes `output` to stdout and empties it.
pub(super) fn write_out(output: &mut Vec<u8>) -> io::Result<()> {
    sys::fd::write_all(sys::fd::stdout(), output)?;
    output.clear();
    Ok(())
}
