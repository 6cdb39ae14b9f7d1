//! `uphold boot`: what it writes into a tree, and that nothing of it is left when it is removed.

mod hostile;
mod rivals;
mod running;
mod tree;
mod trees;
