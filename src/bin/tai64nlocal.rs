//! tai64nlocal, in a file of its own.

#![cfg_attr(not(test), no_main)]

sys::entry!(uphold::logging::tai64nlocal::main);
