//! The agent on a real Docker engine, against a server made for these tests.
//!
//! `DINP_TEST_DOCKER` names the engine's socket, and without it each test fails. They run only when named
//! (`--test docker`): `deploy/test` starts an engine and names them, and counts them as skipped where it cannot. Each
//! test has a cluster, a bridge and a state folder of its own and removes what it made.

mod lab;
mod life;
mod neighbours;
mod restarts;
mod server;
