//! The command line from outside: the binary itself, with a terminal and without, against a scripted server.

mod flow;
mod help;
mod interrupt;
mod mistakes;
mod run;
mod server;
mod terminal;
