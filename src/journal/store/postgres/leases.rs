//! Replicas that live, and the scopes that each may write for. The clock is the server's.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::{Held, Scope};
use crate::journal::store::tables;
use crate::model::ReplicaId;

/// A century is for ever, and the server can add it to its time.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A duration as the server's `make_interval` takes it.
pub(super) fn secs(duration: Duration) -> f64 {
    duration.min(FOREVER).as_secs_f64()
}

pub(super) async fn heartbeat(
    connection: &mut PgConnection,
    me: &ReplicaId,
    ttl: Duration,
) -> Result<Vec<ReplicaId>, sqlx::Error> {
    sqlx::query(
        "INSERT INTO replicas (id, alive_until)
         VALUES ($1, clock_timestamp() + make_interval(secs => $2))
         ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until",
    )
    .bind(&me.0)
    .bind(secs(ttl))
    .execute(&mut *connection)
    .await?;
    let living = "SELECT id FROM replicas WHERE alive_until > clock_timestamp()";
    let living: Vec<String> = sqlx::query_scalar(living).fetch_all(connection).await?;
    let mut living: Vec<ReplicaId> = living.into_iter().map(ReplicaId).collect();
    living.sort_unstable();
    Ok(living)
}

pub(super) async fn held(
    connection: &mut PgConnection,
    me: &ReplicaId,
) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT scope, fence FROM leases JOIN replicas ON id = holder
         WHERE holder = $1 AND alive_until > clock_timestamp()",
    )
    .bind(&me.0)
    .fetch_all(connection)
    .await?;
    let held = rows.iter().map(|row| {
        Ok(Held { scope: tables::scope(row.try_get("scope")?)?, fence: row.try_get("fence")? })
    });
    let mut held = held.collect::<Result<Vec<Held>, sqlx::Error>>()?;
    held.sort_unstable_by(|one, other| one.scope.cmp(&other.scope));
    Ok(held)
}

pub(super) async fn release(
    connection: &mut PgConnection,
    me: &ReplicaId,
    scopes: &[Scope],
) -> Result<(), sqlx::Error> {
    let names: Vec<String> = scopes.iter().map(Scope::name).collect();
    give_up(connection, me, Some(&names)).await
}

pub(super) async fn depart(
    connection: &mut PgConnection,
    me: &ReplicaId,
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    give_up(&mut transaction, me, None).await?;
    let gone = "DELETE FROM replicas WHERE id = $1";
    sqlx::query(gone).bind(&me.0).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Gives up what `me` holds: these scopes, or all. One that died before has left it free since
/// then.
async fn give_up(
    connection: &mut PgConnection,
    me: &ReplicaId,
    scopes: Option<&[String]>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "WITH mine AS (
             SELECT scope FROM leases
             WHERE holder = $1 AND ($2::text[] IS NULL OR scope = ANY ($2))
             ORDER BY scope FOR UPDATE
         )
         UPDATE leases SET holder = NULL, free_since = LEAST(
             clock_timestamp(), (SELECT alive_until FROM replicas WHERE id = $1)
         )
         FROM mine WHERE leases.scope = mine.scope",
    )
    .bind(&me.0)
    .bind(scopes)
    .execute(connection)
    .await?;
    Ok(())
}
