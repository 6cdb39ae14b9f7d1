//! setuser, in a file of its own.

#![cfg_attr(not(test), no_main)]

sys::entry!(uphold::chain::setuser::main);
