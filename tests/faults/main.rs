//! Faults injected at system calls: strace makes a call of a program at work fail, and the program must live on, say each cause
//! once, and end up as wanted. Where strace is not there or may not trace, the tests say so and are skipped.

#![cfg(target_os = "linux")]

mod multilog;
mod scene;
mod strace;
mod supervise;
mod svscan;
