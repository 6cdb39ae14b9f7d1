//! What follows when `run` has ended, as the service directory says. Where none of these files exists, nothing of this is seen; the other suites of tests are about that.
//!
//! Each is tested as whoever runs the tests, and as an ordinary user where that is root.

#![cfg(target_os = "linux")]

use super::deploy::world;

mod finals;
mod finish;
mod finish_left_behind;
mod pace;
mod service;
