//! Reading what was recorded.

use chrono::{TimeZone, Utc};
use cloud::Timestamp;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Connection, Postgres as Driver, QueryBuilder, Row};
use uuid::Uuid;

use super::{Query, Record, Scope, Seq, Snapshot, Spent};
use crate::journal::store::tables;
use crate::model::AccountId;

pub(super) async fn load(
    connection: &mut PgConnection,
    scope: &Scope,
) -> Result<(Option<Snapshot>, Vec<Record>), sqlx::Error> {
    // One view of both: between them, the snapshot could be replaced and the records removed.
    let view = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
    let mut transaction = connection.begin_with(view).await?;
    let row = sqlx::query("SELECT seq, v, body FROM snapshots WHERE scope = $1")
        .bind(scope.name())
        .fetch_optional(&mut *transaction)
        .await?;
    let snapshot = match row {
        Some(row) => Some(Snapshot {
            seq: row.try_get("seq")?,
            v: row.try_get("v")?,
            body: row.try_get("body")?,
        }),
        None => None,
    };
    let covered = snapshot.as_ref().map_or(0, |snapshot| snapshot.seq);
    let records = since(&mut transaction, scope, covered).await?;
    transaction.commit().await?;
    Ok((snapshot, records))
}

pub(super) async fn since(
    connection: &mut PgConnection,
    scope: &Scope,
    seq: Seq,
) -> Result<Vec<Record>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT seq, scope, at, kind, v, body FROM records WHERE scope = $1 AND seq > $2
         ORDER BY seq",
    )
    .bind(scope.name())
    .bind(seq)
    .fetch_all(connection)
    .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn find(
    connection: &mut PgConnection,
    query: &Query,
) -> Result<Vec<Record>, sqlx::Error> {
    let mut sql: QueryBuilder<Driver> =
        QueryBuilder::new("SELECT seq, scope, at, kind, v, body FROM records WHERE TRUE");
    if let Some(scope) = &query.scope {
        sql.push(" AND scope = ").push_bind(scope.name());
    }
    if let Some(since) = query.since {
        sql.push(" AND at >= ").push_bind(stored(since));
    }
    if let Some(until) = query.until {
        sql.push(" AND at <= ").push_bind(stored(until));
    }
    if let Some(after) = query.after {
        sql.push(" AND seq > ").push_bind(after);
    }
    if !query.kinds.is_empty() {
        sql.push(" AND kind = ANY (").push_bind(query.kinds.clone()).push(")");
    }
    if let Some(text) = &query.containing {
        sql.push(" AND position(").push_bind(text.clone()).push(" IN body) > 0");
    }
    // The newest come first only where some are left out.
    match query.newest {
        Some(newest) => sql.push(" ORDER BY seq DESC LIMIT ").push_bind(i64::from(newest)),
        None => sql.push(" ORDER BY seq"),
    };
    if let (None, Some(oldest)) = (query.newest, query.oldest) {
        sql.push(" LIMIT ").push_bind(i64::from(oldest));
    }
    let rows = sql.build().fetch_all(connection).await?;
    let mut records = rows.iter().map(record).collect::<Result<Vec<Record>, sqlx::Error>>()?;
    if query.newest.is_some() {
        records.reverse();
    }
    Ok(records)
}

pub(super) async fn scopes(connection: &mut PgConnection) -> Result<Vec<Scope>, sqlx::Error> {
    // From one scope to the next by the index, not past all records of each.
    let names: Vec<String> = sqlx::query_scalar(
        "WITH RECURSIVE next (scope) AS (
             SELECT MIN(scope) FROM records
             UNION ALL
             SELECT (SELECT MIN(r.scope) FROM records r WHERE r.scope > next.scope)
             FROM next WHERE next.scope IS NOT NULL
         )
         SELECT scope FROM next WHERE scope IS NOT NULL UNION SELECT scope FROM snapshots",
    )
    .fetch_all(connection)
    .await?;
    tables::scopes(names)
}

pub(super) async fn inputs(
    connection: &mut PgConnection,
    decision: Uuid,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT body FROM inputs WHERE decision = $1")
        .bind(decision)
        .fetch_optional(connection)
        .await
}

pub(super) async fn spent(
    connection: &mut PgConnection,
    account: &AccountId,
    since: Timestamp,
) -> Result<Vec<Spent>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT fleet, SUM(launches)::bigint AS launches, SUM(removals)::bigint AS removals
         FROM spend WHERE account = $1 AND at > $2 GROUP BY fleet
         HAVING SUM(launches) > 0 OR SUM(removals) > 0 ORDER BY fleet COLLATE \"C\"",
    )
    .bind(&account.0)
    .bind(stored(since))
    .fetch_all(connection)
    .await?;
    let spent = rows.iter().map(|row| {
        let (fleet, launches) = (row.try_get("fleet")?, row.try_get("launches")?);
        Ok(tables::spent(fleet, launches, row.try_get("removals")?))
    });
    spent.collect()
}

fn record(row: &PgRow) -> Result<Record, sqlx::Error> {
    Ok(Record {
        seq: row.try_get("seq")?,
        scope: tables::scope(row.try_get("scope")?)?,
        at: row.try_get("at")?,
        kind: row.try_get("kind")?,
        v: row.try_get("v")?,
        body: row.try_get("body")?,
    })
}

/// A time as the server can keep it: its calendar is shorter than ours.
pub(super) fn stored(at: Timestamp) -> Timestamp {
    let first = Utc.with_ymd_and_hms(1, 1, 1, 0, 0, 0).single();
    let last = Utc.with_ymd_and_hms(9999, 1, 1, 0, 0, 0).single();
    at.clamp(first.unwrap_or(at), last.unwrap_or(at))
}
