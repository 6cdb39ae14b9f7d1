//! The words of `uphold`.

mod act;
mod check;
mod completions;
mod enable;
mod json;
mod log;
mod new;
mod odd;
mod page;
mod scale;
mod status;
mod why;
mod world;
