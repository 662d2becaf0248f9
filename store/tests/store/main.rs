//! Every query of the store, on SQLite and on a MariaDB started for these tests.

mod build;
mod commit;
mod database;
mod desired;
mod fault;
mod given;
mod history;
mod hold;
mod intent;
mod lease;
mod mariadb;
mod open;
mod people;
mod whole;

/// Makes of each case two tests, `name::sqlite` and `name::mariadb`.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($db:ident: Database) $body:block)+) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn case($db: $crate::database::Database) $body

            #[tokio::test]
            async fn sqlite() {
                case($crate::database::Database::sqlite().await).await;
            }

            #[tokio::test]
            async fn mariadb() {
                case($crate::database::Database::mariadb().await).await;
            }
        }
    )+};
}
pub(crate) use on_both;
