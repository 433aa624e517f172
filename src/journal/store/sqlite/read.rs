//! Reading what was recorded.

use cloud::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, QueryBuilder, Row, Sqlite as Driver};
use uuid::Uuid;

use super::{Query, Record, Scope, Seq, Snapshot, Spent};
use crate::journal::store::tables;
use crate::model::AccountId;

pub(super) async fn load(
    connection: &mut SqliteConnection,
    scope: &Scope,
) -> Result<(Option<Snapshot>, Vec<Record>), sqlx::Error> {
    // One view of both: between them, the snapshot could be replaced and the records removed.
    let mut transaction = connection.begin().await?;
    let row = sqlx::query("SELECT seq, v, body FROM snapshots WHERE scope = ?")
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
    connection: &mut SqliteConnection,
    scope: &Scope,
    seq: Seq,
) -> Result<Vec<Record>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT seq, scope, at, kind, v, body FROM records WHERE scope = ? AND seq > ? ORDER BY seq",
    )
    .bind(scope.name())
    .bind(seq)
    .fetch_all(connection)
    .await?;
    rows.iter().map(record).collect()
}

pub(super) async fn find(
    connection: &mut SqliteConnection,
    query: &Query,
) -> Result<Vec<Record>, sqlx::Error> {
    let mut sql: QueryBuilder<Driver> =
        QueryBuilder::new("SELECT seq, scope, at, kind, v, body FROM records WHERE TRUE");
    if let Some(scope) = &query.scope {
        sql.push(" AND scope = ").push_bind(scope.name());
    }
    if let Some(since) = query.since {
        sql.push(" AND at >= ").push_bind(since.timestamp_millis());
    }
    if let Some(until) = query.until {
        sql.push(" AND at <= ").push_bind(until.timestamp_millis());
    }
    if let Some(after) = query.after {
        sql.push(" AND seq > ").push_bind(after);
    }
    if !query.kinds.is_empty() {
        let mut kinds = sql.push(" AND kind IN (").separated(", ");
        for kind in &query.kinds {
            kinds.push_bind(kind.clone());
        }
        sql.push(")");
    }
    if let Some(text) = &query.containing {
        sql.push(" AND instr(body, ").push_bind(text.clone()).push(") > 0");
    }
    // The newest come first only where some are left out.
    match query.newest {
        Some(newest) => sql.push(" ORDER BY seq DESC LIMIT ").push_bind(newest),
        None => sql.push(" ORDER BY seq"),
    };
    if let (None, Some(oldest)) = (query.newest, query.oldest) {
        sql.push(" LIMIT ").push_bind(oldest);
    }
    let rows = sql.build().fetch_all(connection).await?;
    let mut records = rows.iter().map(record).collect::<Result<Vec<Record>, sqlx::Error>>()?;
    if query.newest.is_some() {
        records.reverse();
    }
    Ok(records)
}

pub(super) async fn scopes(connection: &mut SqliteConnection) -> Result<Vec<Scope>, sqlx::Error> {
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
    connection: &mut SqliteConnection,
    decision: Uuid,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar("SELECT body FROM inputs WHERE decision = ?")
        .bind(decision.to_string())
        .fetch_optional(connection)
        .await
}

pub(super) async fn spent(
    connection: &mut SqliteConnection,
    account: &AccountId,
    since: Timestamp,
) -> Result<Vec<Spent>, sqlx::Error> {
    let rows = sqlx::query(
        "SELECT fleet, SUM(launches) AS launches, SUM(removals) AS removals FROM spend
         WHERE account = ? AND at > ? GROUP BY fleet
         HAVING SUM(launches) > 0 OR SUM(removals) > 0 ORDER BY fleet",
    )
    .bind(&account.0)
    .bind(since.timestamp_millis())
    .fetch_all(connection)
    .await?;
    let spent = rows.iter().map(|row| {
        let (fleet, launches) = (row.try_get("fleet")?, row.try_get("launches")?);
        Ok(tables::spent(fleet, launches, row.try_get("removals")?))
    });
    spent.collect()
}

fn record(row: &SqliteRow) -> Result<Record, sqlx::Error> {
    let seq: Seq = row.try_get("seq")?;
    let millis: i64 = row.try_get("at")?;
    // A record that is damaged must not keep others from being read: its meaning is read later.
    let at = Timestamp::from_timestamp_millis(millis).unwrap_or_default();
    let body: Vec<u8> = row.try_get_unchecked("body")?;
    Ok(Record {
        seq,
        scope: tables::scope(row.try_get("scope")?)?,
        at,
        kind: row.try_get("kind")?,
        v: row.try_get("v")?,
        body: String::from_utf8(body)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
    })
}
