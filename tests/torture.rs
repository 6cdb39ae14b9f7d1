//! The torture program, for as long as a test may take, or for `UPHOLD_TORTURE_SECONDS`: see `examples/torture`.
//!
//! It has no harness, since the program is also the service that it tortures, and must be called by its own name for that.
//! Nothing may be wrong for longer than ten seconds after the last kill, not for two as in the example: the machine may be
//! busy with other tests.

#[path = "../examples/torture/program/mod.rs"]
mod program;

use std::ffi::OsString;
use std::process::ExitCode;

use testkit::Suite;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Some(code) = program::called(&words) {
        return code;
    }
    if !is_chosen(&words) {
        return ExitCode::SUCCESS;
    }
    let Suite::Ours(bin) = Suite::under_test() else {
        testkit::skip("the original does not survive it");
        return ExitCode::SUCCESS;
    };
    let seconds = std::env::var_os("UPHOLD_TORTURE_SECONDS").unwrap_or_else(|| "20".into());
    let mut words: Vec<OsString> = ["--grace", "10", "--seed", "1", "--bin"].map(Into::into).into();
    words.extend([bin.into(), "--seconds".into(), seconds]);
    program::main(words)
}

/// Whether the words for a harness choose this test.
fn is_chosen(words: &[OsString]) -> bool {
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    let is_filter = |word: &str| !word.starts_with('-') && word.parse::<u32>().is_err();
    let filters: Vec<_> = words.iter().filter(|word| is_filter(word)).collect();
    let listed = words.iter().any(|word| word == "--list" || word == "--ignored");
    !listed && (filters.is_empty() || filters.iter().any(|filter| "torture".contains(filter.as_ref())))
}
