//! The command line from outside: the binary itself, with a terminal and without, against a scripted server.

mod flow;
mod help;
mod interrupt;
mod mistakes;
mod nodes;
mod run;
mod server;
mod terminal;
