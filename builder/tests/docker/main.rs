//! From real files to answers over HTTP, against a real Docker engine (`DINP_TEST_DOCKER` names its socket).

mod claims;
mod conformance;
mod engine;
mod files;
mod kinds;
mod leftovers;
mod replacements;
