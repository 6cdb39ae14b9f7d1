//! Not written yet.

/// Says so.
pub fn main(_call: cli::Call) -> i32 {
    cli::Voice("svstat").say(&[&"not written yet"]);
    111
}
