//! What the programs of runit 2.1.2 do, and so do ours that have their names: every case passes on Debian's runit too (`UPHOLD_UNDER_TEST=runit`). Where we differ on
//! purpose is in `differences`, a file for each.

mod chpst;
mod chpst_random;
mod differences;
mod stand;
mod sv;
mod svlogd;
