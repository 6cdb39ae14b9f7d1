//! `svscan --init`: how it stops and ends. As root, each case runs in a PID namespace in which svscan is process 1. Otherwise, and
//! in cases that say so, svscan is an init because of `--init`.

#![cfg(target_os = "linux")]

mod boots;
mod container;
mod endings;
mod essential;
mod far;
mod lines;
mod orphans;
mod prefix;
mod stop;
mod waves;
mod world;
