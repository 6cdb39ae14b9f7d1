//! `uphold boot`: it writes the right files into a tree, and `remove` leaves nothing behind.

mod hostile;
mod rivals;
mod running;
mod tree;
mod trees;
