//! What the present supervise of a world holds.

use machine::Tick;

use super::super::kernel::WATCHED;

/// What the present supervise holds.
#[derive(Default)]
pub struct Hand {
    /// The processes of the copies.
    pub copies: [Option<u32>; 2],
    /// The copies, and the scripts, that are watched because they are not children.
    pub watched: [Option<u32>; WATCHED],
    /// The copies on whose pipes supervise listens.
    pub pipes: [Option<u32>; 2],
    /// The new file that was asked, and when it is killed if it does not answer.
    pub asked: Option<(u32, Tick)>,
    pub rewrite: Option<Tick>,
    /// A start waits for another service, and what it waits for may have changed.
    pub gate: Option<bool>,
    pub signal: bool,
    pub socket: bool,
    /// The second copy, if it is known to lead a process group.
    pub group: Option<u32>,
    /// The loop has not asked yet whether the second copy that it has found leads a process group.
    pub unasked: bool,
}
