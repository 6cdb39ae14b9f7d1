//! Not written yet.

/// Says so.
pub fn main(_call: cli::Call) -> i32 {
    cli::Voice("tai64n").say(&[&"not written yet"]);
    111
}
