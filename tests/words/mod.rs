//! The words of `uphold`.

mod status;
mod world;
