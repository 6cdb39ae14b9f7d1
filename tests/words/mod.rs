//! The words of `uphold`.

mod act;
mod check;
mod completions;
mod enable;
mod log;
mod new;
mod status;
mod why;
mod world;
