//! Soft resource limits, by the letters that softlimit and chpst share.

use anyhow::Context;
use cli::text;
use sys::limits::{self, Resource};

/// The resources that an option letter limits; `None` for a resource that this system cannot limit.
pub fn resources(letter: u8) -> &'static [Option<Resource>] {
    match letter {
        b'a' => &[limits::ADDRESS_SPACE],
        b'c' => &[Some(Resource::RLIMIT_CORE)],
        b'd' => &[Some(Resource::RLIMIT_DATA)],
        b'f' => &[Some(Resource::RLIMIT_FSIZE)],
        b'l' => &[limits::LOCKED_MEMORY],
        b'm' => {
            &[Some(Resource::RLIMIT_DATA), Some(Resource::RLIMIT_STACK), limits::LOCKED_MEMORY, limits::ADDRESS_SPACE]
        }
        b'o' => &[Some(Resource::RLIMIT_NOFILE)],
        b'p' => &[limits::PROCESSES],
        b'r' => &[limits::RESIDENT_MEMORY],
        b's' => &[Some(Resource::RLIMIT_STACK)],
        b't' => &[Some(Resource::RLIMIT_CPU)],
        _ => &[],
    }
}

/// The limit that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// As much as the hard limit allows.
    Hard,
    /// This much, or the hard limit if that is less.
    AtMost(u64),
    /// No limit, and no hard limit.
    None,
}

/// Sets the limit. `getting` and `setting` are the texts for a message that the limit cannot be read, or not be set.
pub fn apply(resource: Resource, wanted: Wanted, [getting, setting]: [&'static str; 2]) -> anyhow::Result<()> {
    let hard = limits::get(resource).with_context(|| text!(getting))?.hard;
    let set = match wanted {
        Wanted::Hard => limits::set_soft(resource, hard),
        Wanted::AtMost(number) => limits::set_soft(resource, number.min(hard)),
        Wanted::None => limits::lift(resource),
    };
    set.with_context(|| text!(setting))
}
