//! Tools for black-box tests of the built programs: the choice of the suite under test, directories and processes that go away
//! when the test ends, and waiting for a condition with a deadline.

mod address;
mod cases;
mod jail;
pub mod json;
mod pace;
mod process;
mod record;
mod scratch;
mod suite;
mod table;
mod wait;

pub use address::address;
pub use cases::for_each;
pub use jail::Jail;
pub use pace::{STAMP, assert_paced, uptime};
pub use process::{Finished, Running, finish, finish_with, signal, start};
pub use record::{change_record, record};
pub use scratch::{Scratch, make_executable};
pub use suite::{Suite, is_root, needs_inotify, needs_original, needs_program, needs_root, skip};
pub use table::{children, group, lives, parent, session, stat, state, watches};
pub use wait::{DEADLINE, PATIENCE, holds_for, wait_for, wait_rest, wait_until};
