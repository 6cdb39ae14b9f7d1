//! The words of `uphold`.

mod act;
mod check;
mod status;
mod why;
mod world;
