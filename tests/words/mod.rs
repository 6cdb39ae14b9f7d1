//! The words of `uphold`.

mod status;
mod why;
mod world;
