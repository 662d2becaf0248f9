//! From real files to answers over HTTP, against a real Docker engine.
//!
//! `DINP_TEST_DOCKER` names the engine's socket, and without it each test fails. They run only when named
//! (`--test docker`): `deploy/test` starts an engine and names them, and counts them as skipped where it cannot.

mod claims;
mod conformance;
mod engine;
mod files;
mod kinds;
mod leftovers;
mod replacements;
