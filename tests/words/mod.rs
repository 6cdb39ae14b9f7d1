//! The words of `uphold`.

mod act;
mod check;
mod log;
mod status;
mod why;
mod world;
