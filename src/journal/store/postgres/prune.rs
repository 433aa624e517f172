//! Removing what is past its retention, a part at a time: a statement must end within its time, and
//! what remains goes with the next call.

use std::time::Duration;

use cloud::Timestamp;
use sqlx::postgres::PgConnection;

use super::Retention;
use super::leases::secs;
use super::read::stored;

/// Rows removed by one statement: some 20 ms of work, so that nobody waits for its locks.
const PART: i64 = 5_000;
/// Half of what a method may take: the last part, and what comes before and after, fit into the
/// rest. A million records go in it.
const TIME: Duration = Duration::from_secs(4);

pub(super) async fn prune(
    connection: &mut PgConnection,
    keep: Retention,
) -> Result<(), sqlx::Error> {
    let began: Timestamp =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await?;
    let too_much = too_much_up_to(connection, keep.bytes).await?;
    let all_from = stored(keep.all_from);
    let ticks_from = all_from.max(stored(keep.ticks_from));
    let whole = PART.unsigned_abs();
    while inputs(connection, ticks_from, too_much).await? == whole
        && time_is_left(connection, began).await?
    {}
    while records(connection, all_from, ticks_from, too_much).await? == whole
        && time_is_left(connection, began).await?
    {}
    let spend = "DELETE FROM spend WHERE at < $1";
    sqlx::query(spend).bind(all_from).execute(&mut *connection).await?;
    let replicas = "DELETE FROM replicas WHERE alive_until < $1";
    sqlx::query(replicas).bind(all_from).execute(&mut *connection).await?;
    Ok(())
}

async fn time_is_left(
    connection: &mut PgConnection,
    began: Timestamp,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT clock_timestamp() < $1 + make_interval(secs => $2)")
        .bind(began)
        .bind(secs(TIME))
        .fetch_one(connection)
        .await
}

/// Removes one part of the inputs, and returns how many there were.
async fn inputs(
    connection: &mut PgConnection,
    ticks_from: Timestamp,
    too_much: i64,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM inputs WHERE decision IN (
             SELECT decision FROM inputs WHERE at < $1 OR seq <= $2 LIMIT $3
         )",
    )
    .bind(ticks_from)
    .bind(too_much)
    .bind(PART)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// From the newest back: the place at which the sum passes `bytes`. Reads no more than that much.
async fn too_much_up_to(connection: &mut PgConnection, bytes: u64) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT COALESCE((SELECT seq FROM (
             SELECT seq, SUM(size) OVER (ORDER BY seq DESC) AS total FROM (
                 SELECT seq, octet_length(body)::bigint AS size FROM records
                 UNION ALL
                 SELECT seq, octet_length(body)::bigint AS size FROM inputs
             ) AS sizes
         ) AS sums WHERE total > $1 ORDER BY seq DESC LIMIT 1), 0)",
    )
    .bind(i64::try_from(bytes).unwrap_or(i64::MAX))
    .fetch_one(connection)
    .await
}

/// Removes one part of the records, and returns how many there were.
async fn records(
    connection: &mut PgConnection,
    all_from: Timestamp,
    ticks_from: Timestamp,
    too_much: i64,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM records WHERE seq IN (
             SELECT records.seq FROM records JOIN snapshots USING (scope)
             WHERE records.seq <= snapshots.seq
             -- What the indexes find, and of it what goes.
             AND (at < $2 OR records.seq <= $3)
             AND (at < $1 OR kind = 'tick' OR records.seq <= $3)
             LIMIT $4
         )",
    )
    .bind(all_from)
    .bind(ticks_from)
    .bind(too_much)
    .bind(PART)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}
