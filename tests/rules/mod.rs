//! The files of a service directory that say what follows an end of `run`. The other tests cover services without these files.
//!
//! Each file is tested as the user who runs the tests and, if that is root, also as an ordinary user.

#![cfg(target_os = "linux")]

use super::deploy::world;

mod cgroup;
mod control;
mod counts;
mod examples;
mod finals;
mod finish;
mod finish_left_behind;
mod health;
mod hooks;
mod kill_mode;
mod kill_tree;
mod nonsense;
mod notify;
mod order;
mod order_graph;
mod order_torture;
mod pace;
mod pause;
mod place;
mod ready;
mod service;
mod signals;
mod start;
mod tally;
