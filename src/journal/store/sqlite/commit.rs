//! Recording, and removing what is past its retention.

pub(super) mod pruning;

use cloud::Timestamp;
use sqlx::sqlite::SqliteConnection;

use super::{Durability, Held, Scope, Snapshot, Write, Written, begin};
use crate::journal::store::{NewRecord, Seq, Spend, SpendLimit, What, Whose};
use crate::model::ReplicaId;

pub(super) async fn commit(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    writes: &[Write],
    durability: Durability,
    now: Timestamp,
) -> Result<Vec<Written>, sqlx::Error> {
    let mut transaction = begin(connection, durability).await?;
    let mut written = Vec::with_capacity(writes.len());
    for write in writes {
        written.push(record(&mut transaction, me, write, now).await?);
    }
    transaction.commit().await?;
    Ok(written)
}

async fn record(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    write: &Write,
    now: Timestamp,
) -> Result<Written, sqlx::Error> {
    if let Some(held) = &write.lease
        && !holds(connection, me, held, now).await?
    {
        return Ok(Written::LeaseLost);
    }
    if let Some(spend) = &write.spend {
        let mut spent = Vec::with_capacity(spend.limits.len());
        for limit in &spend.limits {
            spent.push(spent_against(connection, limit, spend).await?);
        }
        if let Some(limit) = spend.passed(&spent) {
            return Ok(Written::Braked(limit.clone()));
        }
        note_spend(connection, spend).await?;
    }
    let mut places = Vec::with_capacity(write.records.len());
    for record in &write.records {
        places.push(append(connection, record).await?);
    }
    if let Some((decision, body)) = &write.inputs {
        let at = write.records.first().map_or(now, |record| record.at);
        sqlx::query(
            "INSERT OR REPLACE INTO inputs (decision, seq, at, body)
             VALUES (?, (SELECT COALESCE(MAX(seq), 0) FROM records), ?, ?)",
        )
        .bind(decision.to_string())
        .bind(at.timestamp_millis())
        .bind(body)
        .execute(connection)
        .await?;
    }
    Ok(Written::Done(places))
}

async fn holds(
    connection: &mut SqliteConnection,
    me: &ReplicaId,
    held: &Held,
    now: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM leases JOIN replicas ON id = holder
         WHERE scope = ? AND holder = ? AND fence = ? AND alive_until > ?)",
    )
    .bind(held.scope.name())
    .bind(&me.0)
    .bind(held.fence)
    .bind(now.timestamp_millis())
    .fetch_one(connection)
    .await
}

/// The changes of the kind that `limit` limits, without `spend` itself.
async fn spent_against(
    connection: &mut SqliteConnection,
    limit: &SpendLimit,
    spend: &Spend,
) -> Result<u64, sqlx::Error> {
    let sum = match (limit.what, limit.whose) {
        (What::Launches, Whose::Fleet) => {
            "SELECT COALESCE(SUM(launches), 0) FROM spend WHERE fleet = ? AND at > ? AND intent != ?"
        }
        (What::Removals, Whose::Fleet) => {
            "SELECT COALESCE(SUM(removals), 0) FROM spend WHERE fleet = ? AND at > ? AND intent != ?"
        }
        (What::Launches, Whose::Account) => {
            "SELECT COALESCE(SUM(launches), 0) FROM spend \
             WHERE account = ? AND at > ? AND intent != ?"
        }
        (What::Removals, Whose::Account) => {
            "SELECT COALESCE(SUM(removals), 0) FROM spend \
             WHERE account = ? AND at > ? AND intent != ?"
        }
    };
    let whose = match limit.whose {
        Whose::Fleet => &spend.fleet.0,
        Whose::Account => &spend.account.0,
    };
    let sum: i64 = sqlx::query_scalar(sum)
        .bind(whose)
        .bind(limit.since.timestamp_millis())
        .bind(spend.intent.to_string())
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(sum).unwrap_or(0))
}

async fn note_spend(connection: &mut SqliteConnection, spend: &Spend) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT OR REPLACE INTO spend (intent, at, account, fleet, launches, removals)
         VALUES (?, ?, ?, ?, ?, ?)",
    )
    .bind(spend.intent.to_string())
    .bind(spend.at.timestamp_millis())
    .bind(&spend.account.0)
    .bind(&spend.fleet.0)
    .bind(spend.launches)
    .bind(spend.removals)
    .execute(connection)
    .await?;
    Ok(())
}

async fn append(connection: &mut SqliteConnection, record: &NewRecord) -> Result<Seq, sqlx::Error> {
    let inserted =
        sqlx::query("INSERT INTO records (scope, at, kind, v, body) VALUES (?, ?, ?, ?, ?)")
            .bind(record.scope.name())
            .bind(record.at.timestamp_millis())
            .bind(record.kind)
            .bind(record.v)
            .bind(&record.body)
            .execute(connection)
            .await?;
    Ok(inserted.last_insert_rowid())
}

pub(super) async fn save_snapshots(
    connection: &mut SqliteConnection,
    snapshots: &[(Scope, Snapshot)],
) -> Result<(), sqlx::Error> {
    // They cover records that a power cut must not take away from under them.
    let mut transaction = begin(connection, Durability::Durable).await?;
    for (scope, snapshot) in snapshots {
        sqlx::query(
            "INSERT INTO snapshots (scope, seq, v, body) VALUES (?, ?, ?, ?)
             ON CONFLICT (scope) DO UPDATE
             SET seq = excluded.seq, v = excluded.v, body = excluded.body
             WHERE excluded.seq >= snapshots.seq",
        )
        .bind(scope.name())
        .bind(snapshot.seq)
        .bind(snapshot.v)
        .bind(&snapshot.body)
        .execute(&mut *transaction)
        .await?;
    }
    transaction.commit().await
}
