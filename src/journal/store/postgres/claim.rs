//! Taking leases that nobody living holds.
//!
//! Two replicas that claim at once share out what is free without waiting for each other: each
//! passes over what the other has locked. A commit under way holds its leases' locks, so what it
//! records is recorded before anybody takes over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};

use super::leases::secs;
use super::{Held, Scope};
use crate::journal::store::Fence;
use crate::model::ReplicaId;

pub(super) async fn claim(
    connection: &mut PgConnection,
    me: &ReplicaId,
    wanted: &[Scope],
    most: usize,
    free_for: Duration,
) -> Result<Vec<Held>, sqlx::Error> {
    // A scope that is wanted twice is claimed once.
    let mut seen = BTreeSet::new();
    let wanted: Vec<&Scope> = wanted.iter().filter(|scope| seen.insert(*scope)).collect();
    let names: Vec<String> = wanted.iter().map(|scope| scope.name()).collect();
    make_rows(connection, &names).await?;
    let mut transaction = connection.begin().await?;
    let candidates = lock_candidates(&mut transaction, &names, most, free_for).await?;
    let mut taken = if lock_lives(&mut transaction, me, &candidates).await? {
        take(&mut transaction, me, &candidates, free_for).await?
    } else {
        BTreeMap::new()
    };
    transaction.commit().await?;
    let in_order = wanted.into_iter().zip(&names);
    let held = in_order.filter_map(|(scope, name)| {
        Some(Held { scope: scope.clone(), fence: taken.remove(name)? })
    });
    Ok(held.collect())
}

/// A row for each, so that there is something to lock. Not part of the claim: a row at fence 0 says
/// nothing.
async fn make_rows(connection: &mut PgConnection, names: &[String]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO leases (scope)
         SELECT name FROM unnest($1::text[]) AS wanted (name)
         WHERE NOT EXISTS (SELECT 1 FROM leases WHERE scope = name)
         ORDER BY name COLLATE \"C\"
         ON CONFLICT (scope) DO NOTHING",
    )
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

/// Locks the first `most` that seem to be free. What another has locked is as good as taken.
async fn lock_candidates(
    connection: &mut PgConnection,
    names: &[String],
    most: usize,
    free_for: Duration,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT leases.scope
         FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
         JOIN leases ON leases.scope = wanted.name
         LEFT JOIN replicas ON replicas.id = leases.holder
         WHERE COALESCE(
             CASE WHEN holder IS NULL THEN free_since ELSE alive_until END, '-infinity'
         ) <= clock_timestamp() - make_interval(secs => $3)
         ORDER BY wanted.place LIMIT $2
         FOR UPDATE OF leases SKIP LOCKED",
    )
    .bind(names)
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .bind(secs(free_for))
    .fetch_all(connection)
    .await
}

/// Whether `me` lives. Until the claim is decided, neither `me` nor a dead holder of the candidates
/// can change whether it does.
async fn lock_lives(
    connection: &mut PgConnection,
    me: &ReplicaId,
    candidates: &[String],
) -> Result<bool, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT id, alive_until > clock_timestamp() AS lives FROM replicas
         WHERE id = $1 OR id IN (SELECT holder FROM leases WHERE scope = ANY ($2))
         ORDER BY id FOR SHARE",
    )
    .bind(&me.0)
    .bind(candidates)
    .fetch_all(connection)
    .await?;
    for row in &rows {
        if row.try_get::<String, _>("id")? == me.0 {
            return row.try_get("lives");
        }
    }
    Ok(false)
}

/// Takes what is still free now that it is locked: the first look may be older than what another
/// replica did just before.
async fn take(
    connection: &mut PgConnection,
    me: &ReplicaId,
    candidates: &[String],
    free_for: Duration,
) -> Result<BTreeMap<String, Fence>, sqlx::Error> {
    let rows = sqlx::query(
        "UPDATE leases SET holder = $1, fence = fence + 1, free_since = NULL
         WHERE scope = ANY ($2) AND COALESCE(
             CASE WHEN holder IS NULL THEN free_since
             ELSE (SELECT alive_until FROM replicas WHERE id = leases.holder) END, '-infinity'
         ) <= clock_timestamp() - make_interval(secs => $3)
         RETURNING scope, fence",
    )
    .bind(&me.0)
    .bind(candidates)
    .bind(secs(free_for))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("scope")?, row.try_get("fence")?))).collect()
}
