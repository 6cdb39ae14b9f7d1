//! `uphold status --json`: what is known of services, for programs.

mod follow;
mod line;
mod queue;
pub mod text;
mod watches;

pub use follow::follow;

use line::Line;

use super::clock::Clock;
use super::whole::Whole;

/// One array with an object for each service, each on a line of its own.
pub fn array(services: &[Whole]) -> String {
    let mut clock = Clock::new();
    let lines: Vec<String> = services.iter().map(|service| Line::of(service, &mut clock).text).collect();
    if lines.is_empty() { "[]\n".to_owned() } else { format!("[\n{}\n]\n", lines.join(",\n")) }
}
