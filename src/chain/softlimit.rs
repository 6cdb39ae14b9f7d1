//! softlimit: runs a program with other soft resource limits.
//!
//! A value above the hard limit is silently lowered to it; only `-` changes the hard limit too. Options take effect in their order, so if two
//! options set the same limit, the later one counts.

use cli::{Call, LongWords, Options, Program, Usage, Word};
use svdir::knob;
use sys::exec::Prepared;
use sys::limits::Resource;

use crate::service::exec;

use super::limits::{self, Wanted, resources};

const PROGRAM: Program = Program {
    name: "softlimit",
    synopsis: "[-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child [arg ...]",
    usage: "softlimit: usage: softlimit [-a allbytes] [-c corebytes] [-d databytes] [-f filebytes] [-l lockbytes] [-m membytes] [-o openfiles] [-p processes] [-r residentbytes] [-s stackbytes] [-t cpusecs] child",
    usage_exit: cli::USAGE,
    about: "Runs a program with other soft limits. A limit is a number, = (or hard) for the hard limit, or - (or unlimited) for none at all; a higher number is lowered to the hard limit.",
    options: &[
        ("-a allbytes", "all of the address space"),
        ("-c corebytes", "the size of a core file"),
        ("-d databytes", "the data segment"),
        ("-f filebytes", "the size of files that are written"),
        ("-l lockbytes", "locked memory"),
        ("-m membytes", "-d, -s, -l and -a at once"),
        ("-o openfiles", "open descriptors"),
        ("-p processes", "processes of the user"),
        ("-r residentbytes", "resident memory"),
        ("-s stackbytes", "the stack"),
        ("-t cpusecs", "seconds of processor time"),
        ("child", "the program to run"),
        ("arg ...", "its arguments"),
    ],
};

/// The program.
pub fn main(call: Call) -> i32 {
    PROGRAM.run(&call, run)
}

fn run(call: &Call) -> anyhow::Result<u8> {
    let program = scan(call, |_, _| Ok(()))?;
    if program.is_empty() {
        return Err(Usage.into());
    }
    // Everything that needs memory is done before the limits are set, since they may leave none.
    let argv = exec::c_strings(program);
    let mut prepared = Prepared::new(&argv, None);
    scan(call, apply)?;
    let failed = prepared.path_exec();
    // The message may need more memory, or a larger file, than the new limits allow.
    scan(call, |resource, _| apply(resource, Wanted::Hard))?;
    Err(exec::unable_to_run(program, failed))
}

/// Calls `act` for each limit that the options name, in their order, and returns the operands.
fn scan(call: &Call, act: impl Fn(Resource, Wanted) -> anyhow::Result<()>) -> anyhow::Result<&[Word]> {
    let mut options = Options::new(call.words(), "a:c:d:f:l:m:o:p:r:s:t:", LongWords::Dropped);
    while let Some((letter, value)) = options.next()? {
        let wanted = parse(value).ok_or(Usage)?;
        for &resource in resources(letter).iter().flatten() {
            act(resource, wanted)?;
        }
    }
    Ok(options.operands())
}

/// Reads the value of an option: `=` or `-`, daemontools-encore's words for these, or digits; nothing at all is 0. `None` for anything else and for a
/// number that is too large.
fn parse(value: &[u8]) -> Option<Wanted> {
    match value {
        b"=" | b"hard" => Some(Wanted::Hard),
        b"-" | b"unlimited" => Some(Wanted::None),
        b"" => Some(Wanted::AtMost(0)),
        digits => knob::digits(digits).map(Wanted::AtMost),
    }
}

fn apply(resource: Resource, wanted: Wanted) -> anyhow::Result<()> {
    limits::apply(resource, wanted, ["getrlimit failed", "setrlimit failed"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_digits_or_a_sign_or_its_word() {
        for (sign, word, wanted) in [("=", "hard", Wanted::Hard), ("-", "unlimited", Wanted::None)] {
            assert_eq!([sign, word].map(|value| parse(value.as_bytes())), [Some(wanted); 2]);
        }
        assert_eq!(parse(b""), Some(Wanted::AtMost(0)));
        assert_eq!(parse(b"0042"), Some(Wanted::AtMost(42)));
        assert_eq!(parse(b"18446744073709551615"), Some(Wanted::AtMost(u64::MAX)));
        for wrong in ["18446744073709551616", "-1", "+1", "1k", " 1", "==", "1=", "--", "-=", "hards", "Hard"] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
