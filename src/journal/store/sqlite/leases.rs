//! Replicas that live, and the scopes that each may write for.

use std::collections::BTreeMap;
use std::time::Duration;

use cloud::{Timestamp, clock};
use sqlx::Row;
use sqlx::sqlite::SqliteConnection;

use super::{Durability, Held, Scope, begin, millis};
use crate::journal::store::{Fence, tables};
use crate::model::ReplicaId;

pub(super) async fn heartbeat(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    ttl: Duration,
    now: Timestamp,
) -> Result<Vec<ReplicaId>, sqlx::Error> {
    let mut transaction = begin(connection, Durability::Lazy).await?;
    sqlx::query("INSERT OR REPLACE INTO replicas (id, alive_until) VALUES (?, ?)")
        .bind(&me.0)
        .bind(clock::after(now, ttl).timestamp_millis())
        .execute(&mut *transaction)
        .await?;
    let living = sqlx::query_scalar("SELECT id FROM replicas WHERE alive_until > ? ORDER BY id")
        .bind(now.timestamp_millis())
        .fetch_all(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(living.into_iter().map(ReplicaId).collect())
}

pub(super) async fn held(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    now: Timestamp,
) -> Result<Vec<Held>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT scope, fence FROM leases JOIN replicas ON id = holder
         WHERE holder = ? AND alive_until > ?",
    )
    .bind(&me.0)
    .bind(now.timestamp_millis())
    .fetch_all(connection)
    .await?;
    let held = rows.iter().map(|row| {
        Ok(Held { scope: tables::scope(row.try_get("scope")?)?, fence: row.try_get("fence")? })
    });
    let mut held = held.collect::<Result<Vec<Held>, sqlx::Error>>()?;
    held.sort_unstable_by(|one, other| one.scope.cmp(&other.scope));
    Ok(held)
}

pub(super) async fn claim(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    wanted: &[Scope],
    most: usize,
    free_for: Duration,
    now: Timestamp,
) -> Result<Vec<Held>, sqlx::Error> {
    let mut transaction = begin(connection, Durability::Durable).await?;
    let lives = "SELECT EXISTS (SELECT 1 FROM replicas WHERE id = ? AND alive_until > ?)";
    let lives: bool = sqlx::query_scalar(lives)
        .bind(&me.0)
        .bind(now.timestamp_millis())
        .fetch_one(&mut *transaction)
        .await?;
    let mut taken = Vec::new();
    if !lives {
        return Ok(taken);
    }
    let mut leases = leases(&mut transaction).await?;
    let free_since = now.timestamp_millis().saturating_sub(millis(free_for));
    for scope in wanted {
        if taken.len() >= most {
            break;
        }
        let name = scope.name();
        let (fence, free_from) = leases.get(&name).copied().unwrap_or((0, i64::MIN));
        if free_from > free_since {
            continue;
        }
        let fence = fence + 1;
        sqlx::query("INSERT OR REPLACE INTO leases (scope, fence, holder) VALUES (?, ?, ?)")
            .bind(&name)
            .bind(fence)
            .bind(&me.0)
            .execute(&mut *transaction)
            .await?;
        // A scope that is wanted twice is claimed once.
        leases.insert(name, (fence, i64::MAX));
        taken.push(Held { scope: scope.clone(), fence });
    }
    transaction.commit().await?;
    Ok(taken)
}

/// Each lease's fence, and since when, or from when on, it is free.
async fn leases(
    connection: &mut SqliteConnection,
) -> Result<BTreeMap<String, (Fence, i64)>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT scope, fence, CASE WHEN holder IS NULL THEN free_since ELSE alive_until END AS free
         FROM leases LEFT JOIN replicas ON id = holder",
    )
    .fetch_all(connection)
    .await?;
    let leases = rows.iter().map(|row| {
        // The holder may be forgotten, as long ago as it died.
        let free: Option<i64> = row.try_get("free")?;
        Ok((row.try_get("scope")?, (row.try_get("fence")?, free.unwrap_or(i64::MIN))))
    });
    leases.collect()
}

pub(super) async fn release(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    scopes: &[Scope],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut transaction = begin(connection, Durability::Durable).await?;
    for scope in scopes {
        let name = scope.name();
        give_up(&mut transaction, me, Some(&name), now).await?;
    }
    transaction.commit().await
}

pub(super) async fn depart(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let mut transaction = begin(connection, Durability::Durable).await?;
    give_up(&mut transaction, me, None, now).await?;
    sqlx::query("DELETE FROM replicas WHERE id = ?").bind(&me.0).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// Gives up what `me` holds: one scope, or all. One that died before has left it free since then.
async fn give_up(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    scope: Option<&str>,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE leases SET holder = NULL, free_since =
             MIN(?2, COALESCE((SELECT alive_until FROM replicas WHERE id = ?1), ?2))
         WHERE holder = ?1 AND (?3 IS NULL OR scope = ?3)",
    )
    .bind(&me.0)
    .bind(now.timestamp_millis())
    .bind(scope)
    .execute(connection)
    .await?;
    Ok(())
}
