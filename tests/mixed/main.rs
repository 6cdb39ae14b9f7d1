//! Programs of two suites on one service directory: ours and daemontools 0.76, ours and runit. Old clients, scripts and
//! half-finished upgrades go on working, and two supervisors never run one service.

mod daemontools;
mod pair;
mod runit;
mod takeover;
#[path = "../differences/talker.rs"]
mod talker;
#[allow(dead_code)] // written for the tests of one suite alone
#[path = "../supervision/world.rs"]
mod world;
