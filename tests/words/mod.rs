//! The words of `uphold`.

mod act;
mod check;
mod enable;
mod log;
mod new;
mod status;
mod why;
mod world;
