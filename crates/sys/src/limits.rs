//! Resource limits.

use std::io;

pub use nix::sys::resource::Resource;
use nix::sys::resource::{getrlimit, setrlimit};

/// A soft and a hard limit; `u64::MAX` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far the soft one may be raised.
    pub hard: u64,
}

/// The limits on `resource`.
pub fn get(resource: Resource) -> io::Result<Limit> {
    let (soft, hard) = getrlimit(resource)?;
    // The limits' type is signed on some systems.
    #[allow(clippy::unnecessary_cast)]
    Ok(Limit { soft: soft as u64, hard: hard as u64 })
}

/// Sets the soft limit and leaves the hard one.
pub fn set_soft(resource: Resource, soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    Ok(setrlimit(resource, soft as _, hard)?)
}
