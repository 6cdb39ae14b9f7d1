//! Resource limits.

use std::io;

pub use nix::sys::resource::Resource;
use nix::sys::resource::{RLIM_INFINITY, getrlimit, setrlimit};

/// The whole address space, if the system can limit it.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub const ADDRESS_SPACE: Option<Resource> = Some(Resource::RLIMIT_AS);
/// The whole address space, if the system can limit it.
#[cfg(target_os = "freebsd")]
pub const ADDRESS_SPACE: Option<Resource> = Some(Resource::RLIMIT_VMEM);
/// The whole address space, if the system can limit it.
#[cfg(not(any(target_os = "linux", target_vendor = "apple", target_os = "freebsd")))]
pub const ADDRESS_SPACE: Option<Resource> = None;

pub use other::{LOCKED_MEMORY, PROCESSES, RESIDENT_MEMORY};

#[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd"))]
mod other {
    use super::Resource;

    /// Memory that is locked, if the system can limit it.
    pub const LOCKED_MEMORY: Option<Resource> = Some(Resource::RLIMIT_MEMLOCK);
    /// Processes of the user, if the system can limit them.
    pub const PROCESSES: Option<Resource> = Some(Resource::RLIMIT_NPROC);
    /// Memory that is resident, if the system can limit it.
    pub const RESIDENT_MEMORY: Option<Resource> = Some(Resource::RLIMIT_RSS);
}

#[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd", target_os = "openbsd")))]
mod other {
    use super::Resource;

    /// Memory that is locked, if the system can limit it.
    pub const LOCKED_MEMORY: Option<Resource> = None;
    /// Processes of the user, if the system can limit them.
    pub const PROCESSES: Option<Resource> = None;
    /// Memory that is resident, if the system can limit it.
    pub const RESIDENT_MEMORY: Option<Resource> = None;
}

/// A soft and a hard limit; `u64::MAX` means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The limit in force.
    pub soft: u64,
    /// The value up to which the soft limit may be raised.
    pub hard: u64,
}

/// The limits on `resource`.
pub fn get(resource: Resource) -> io::Result<Limit> {
    let (soft, hard) = getrlimit(resource)?;
    // The type of limits is signed on some systems.
    #[allow(clippy::unnecessary_cast)]
    Ok(Limit { soft: soft as u64, hard: hard as u64 })
}

/// Sets the soft limit; the hard limit stays.
pub fn set_soft(resource: Resource, soft: u64) -> io::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    Ok(setrlimit(resource, soft as _, hard)?)
}

/// Lifts the soft and the hard limit. If there is a hard limit, that needs CAP_SYS_RESOURCE on Linux, and root elsewhere.
pub fn lift(resource: Resource) -> io::Result<()> {
    Ok(setrlimit(resource, RLIM_INFINITY, RLIM_INFINITY)?)
}

/// Raises the soft limit to `enough`, or as far as that is permitted.
pub fn raise(resource: Resource, enough: u64) -> io::Result<()> {
    let (soft, hard) = getrlimit(resource)?;
    #[allow(clippy::unnecessary_cast)]
    let (wanted, allowed) = ((soft as u64).max(enough) as _, (hard as u64).max(enough) as _);
    Ok(setrlimit(resource, wanted, allowed).or_else(|_| setrlimit(resource, hard, hard))?)
}
