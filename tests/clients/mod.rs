//! Programs that other programs ask by their exit code, and that daemontools does not have: svup and `uphold usage`.

#![cfg(target_os = "linux")]

mod svup;
mod usage;
