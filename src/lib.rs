//! The programs of uphold, one module for each room of the house. Each program's `main` takes its call and returns its
//! exit code; the files in `src/bin` do nothing else.

pub mod boot;
pub mod chain;
pub mod control;
pub mod hupwatch;
pub mod logging;
pub mod service;
pub mod supervise;
pub mod svscan;
pub mod svscanboot;
pub mod usage;
pub mod words;
