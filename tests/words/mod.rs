//! The words of `uphold`.

mod act;
mod status;
mod why;
mod world;
