//! `svscan --init`: how it stops and ends. As root each case runs in a PID namespace, in which svscan is process 1; otherwise, and
//! in cases that say so, svscan is an init because it was told to be one.

#![cfg(target_os = "linux")]

mod boots;
mod container;
mod endings;
mod lines;
mod orphans;
mod prefix;
mod stop;
mod world;
