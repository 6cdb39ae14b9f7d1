//! svlogd's part of the family: its `config` files, what they select, its log directories, and its processors, which run in the background.

mod config;
mod current;
mod directory;
mod logs;
mod processing;
mod replace;
mod selection;

pub use logs::{Logs, Settings};
pub use replace::Replacer;
pub use selection::Selections;
