//! sv, in a file of its own.

#![cfg_attr(not(test), no_main)]

sys::entry!(uphold::control::sv::main);
