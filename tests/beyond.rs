//! What daemontools 0.76 does not have: options and chain programs of daemontools-encore, svup, sockets, readiness and replacing of services, rules for their ends, svscan as an init, `uphold boot`, `uphold usage`, the words of `uphold`, and hupwatch.
//!
//! One file of tests, as most of them wait: many are run at a time.

mod clients;
mod deploy;
mod encore;
mod init;
mod install;
mod reload;
mod rules;
mod words;
