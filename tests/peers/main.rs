//! Service directories as they stand in collections for runit and s6. Each case is run by the peer, which proves it, and by ours; where they are to differ,
//! the case stands in a file of its own in `differences`.

mod control;
mod differences;
mod runit;
mod s6;
mod stand;
