//! The router from outside: real sockets, real endpoints, a server that publishes certified tables.

mod harness;

mod handover;
mod limits;
mod redis;
mod retries;
mod routing;
mod tables;
mod tunnels;
