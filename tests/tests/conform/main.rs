//! What simulations stand on behaves as what it stands for: the same random operations on both, and the same results.

mod changes;
#[allow(dead_code)] // It is the store's own suite's, which uses all of it.
#[path = "../../../store/tests/store/database.rs"]
mod database;
mod draw;
#[allow(dead_code)] // As above.
#[path = "../../../store/tests/store/given.rs"]
mod given;
#[path = "../../../store/tests/store/mariadb.rs"]
mod mariadb;
mod redis_server;
mod sim_redis;
mod sim_store;
mod store;
mod tables;
mod wishes;
