//! The effectful loops: svscan, supervise, and the way to start them at boot.

pub mod supervise;
pub mod svscan;
pub mod svscanboot;
