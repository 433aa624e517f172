//! Making the tables those of this version, or refusing those of a newer one.

use sqlx::migrate::Migrator;
use sqlx::postgres::PgConnection;

use super::{JournalError, Postgres, StoreAccess, failure};
use crate::journal::store::tables::{self, Versions};

/// The tables, version by version. Replicas that start at once wait for each other here.
static MIGRATIONS: Migrator = sqlx::migrate!("src/journal/store/migrations/postgres");

/// The newest version of the tables.
fn known() -> i64 {
    MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0)
}

impl Postgres {
    /// Looks at the tables, and, as the daemon, makes what is missing. Nothing is changed in a database that is
    /// refused.
    pub(super) async fn prepare(&self) -> Result<(), JournalError> {
        let failed = |error: sqlx::Error| failure::of(&self.name, &error);
        let mut connection = self.borrow().await.map_err(failed)?;
        if self.access != StoreAccess::Everything {
            self.refuse_newer(&mut connection).await?;
            self.refuse_older(&mut connection).await?;
            connection.give_back();
            return Ok(());
        }
        make_schema(&mut connection).await.map_err(failed)?;
        self.refuse_newer(&mut connection).await?;
        let migrated = MIGRATIONS.run_direct(None, &mut *connection, false).await;
        // Another replica may have made the tables of a newer version while this one waited.
        self.refuse_newer(&mut connection).await?;
        migrated.map_err(|error| failed(error.into()))?;
        sqlx::query(
            "INSERT INTO meta (key, value) VALUES ('writer', $1)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(env!("CARGO_PKG_VERSION"))
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
        connection.give_back();
        Ok(())
    }

    async fn refuse_newer(&self, connection: &mut PgConnection) -> Result<(), JournalError> {
        let failed = |error: sqlx::Error| failure::of(&self.name, &error);
        let tables = found(connection).await.map_err(failed)?;
        let records = "SELECT COALESCE(MAX(v), 0) FROM records";
        let records = if_there(connection, "records", records).await.map_err(failed)?;
        let known = Versions { tables: known(), records: self.known_v };
        let Some(beyond) = (Versions { tables, records }).beyond(known) else { return Ok(()) };
        let writer: Option<String> =
            sqlx::query_scalar("SELECT value FROM meta WHERE key = 'writer'")
                .fetch_optional(connection)
                .await
                .map_err(failed)?;
        Err(tables::newer(self.place(), writer, beyond))
    }

    /// Refuses tables that only a daemon may make or change.
    async fn refuse_older(&self, connection: &mut PgConnection) -> Result<(), JournalError> {
        let found = found(connection).await.map_err(|error| failure::of(&self.name, &error))?;
        match found {
            0 => Err(JournalError::Absent { place: self.place() }),
            found if found < known() => {
                Err(JournalError::Older { place: self.place(), found, known: known() })
            }
            _ => Ok(()),
        }
    }

    fn place(&self) -> String {
        format!("the database {}", self.name)
    }
}

/// The version of the tables that are there; 0: none.
async fn found(connection: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let tables = "SELECT COALESCE(MAX(version), 0) FROM _sqlx_migrations";
    if_there(connection, "_sqlx_migrations", tables).await
}

/// The number that `sql` selects; 0 where the table is not there.
async fn if_there(
    connection: &mut PgConnection,
    table: &str,
    sql: &'static str,
) -> Result<i64, sqlx::Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(table)
        .fetch_one(&mut *connection)
        .await?;
    if is_there { sqlx::query_scalar(sql).fetch_one(connection).await } else { Ok(0) }
}

/// Makes the schema where it is missing: one that an administrator made needs no such right.
async fn make_schema(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let is_there: bool = sqlx::query_scalar("SELECT to_regnamespace('fleetscaler') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await?;
    if is_there {
        return Ok(());
    }
    let made = sqlx::query("CREATE SCHEMA IF NOT EXISTS fleetscaler").execute(connection).await;
    match made {
        // Another replica makes it at this moment; IF NOT EXISTS does not see that.
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(()),
        made => made.map(drop),
    }
}
