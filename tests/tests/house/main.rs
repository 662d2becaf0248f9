//! The house kept tidy: who may depend on whom, under which licences, and how long a file may get.

mod dependencies;
mod graph;
mod licences;
mod sources;
