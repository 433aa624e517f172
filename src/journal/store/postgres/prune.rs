//! Removing what is past its retention: what is too old first, then what is too much, a part at a time.
//!
//! Each part looks at a bounded number of rows, whether they go or not, in a transaction of its own: a
//! journal of any size is pruned without a statement that takes long, and nobody waits for more than
//! one part. A failure ends the run; the next one begins with what is too old again.

use cloud::Timestamp;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::read::stored;
use super::{Retention, Seq};

/// Rows that one part looks at: some 20 ms of work where all of them go.
const PART: i64 = 2_000;
/// Inputs are twenty times as large as records.
const INPUTS_PART: i64 = PART / 20;
/// Only one replica prunes at a time: the lock of whoever does a part. The number says nothing, it must
/// only be no other lock's.
const LOCK: i64 = 0x666c_6565_7470_7275;

/// The records to remove, and how far that has come.
#[derive(Debug, Clone)]
pub(super) struct Pruning {
    keep: Retention,
    next: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Inputs that are too old.
    OldInputs,
    /// Records that are too old, those after this time and place next.
    OldRecords {
        after: (Timestamp, Seq),
    },
    /// Whether there may be too much at all.
    Weigh,
    /// From the newest back, what is below this place comes next, and may have so many bytes.
    Measure {
        below: Seq,
        left: u64,
    },
    /// Inputs up to a place.
    Inputs {
        too_much: Seq,
    },
    /// Records up to a place, those after another one next.
    Records {
        too_much: Seq,
        after: Seq,
    },
    Rest,
    Done,
}

/// Does the next part, and returns how it goes on; `None` when all is done.
pub(super) async fn part(
    connection: &mut PgConnection,
    pruning: &Pruning,
) -> Result<Option<Pruning>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mine: bool = sqlx::query_scalar("SELECT pg_try_advisory_xact_lock($1)")
        .bind(LOCK)
        .fetch_one(&mut *transaction)
        .await?;
    if !mine {
        // Another replica is at it.
        return Ok(None);
    }
    let next = pruning.step(&mut transaction).await?;
    transaction.commit().await?;
    Ok(match next {
        Step::Done => None,
        next => Some(Pruning { keep: pruning.keep, next }),
    })
}

impl Pruning {
    pub(super) fn of(keep: Retention) -> Pruning {
        Pruning { keep, next: Step::OldInputs }
    }

    async fn step(&self, connection: &mut PgConnection) -> Result<Step, sqlx::Error> {
        let all_from = stored(self.keep.all_from);
        let ticks_from = all_from.max(stored(self.keep.ticks_from));
        let again = |removed: u64, part: i64| removed == part.unsigned_abs();
        Ok(match self.next {
            Step::OldInputs => {
                let removed = inputs_before(connection, ticks_from).await?;
                match again(removed, INPUTS_PART) {
                    true => Step::OldInputs,
                    false => Step::OldRecords { after: (stored(Timestamp::MIN_UTC), 0) },
                }
            }
            Step::OldRecords { after } => {
                match before(connection, after, ticks_from, all_from).await? {
                    Some(after) => Step::OldRecords { after },
                    None => Step::Weigh,
                }
            }
            Step::Weigh if size(connection).await? <= self.keep.bytes => Step::Rest,
            Step::Weigh => Step::Measure { below: Seq::MAX, left: self.keep.bytes },
            Step::Measure { below, left } => measure(connection, below, left).await?,
            Step::Inputs { too_much } => {
                match again(inputs_up_to(connection, too_much).await?, INPUTS_PART) {
                    true => Step::Inputs { too_much },
                    false => Step::Records { too_much, after: 0 },
                }
            }
            Step::Records { too_much, after } => match up_to(connection, after, too_much).await? {
                Some(after) => Step::Records { too_much, after },
                None => Step::Rest,
            },
            Step::Rest => {
                let spend = "DELETE FROM spend WHERE at < $1";
                sqlx::query(spend).bind(all_from).execute(&mut *connection).await?;
                let replicas = "DELETE FROM replicas WHERE alive_until < $1";
                sqlx::query(replicas).bind(all_from).execute(&mut *connection).await?;
                Step::Done
            }
            Step::Done => Step::Done,
        })
    }
}

/// The space of the journal on the server's disk, with that of removed records which is not used again yet.
async fn size(connection: &mut PgConnection) -> Result<u64, sqlx::Error> {
    let size: i64 = sqlx::query_scalar(
        "SELECT pg_total_relation_size('records') + pg_total_relation_size('inputs')",
    )
    .fetch_one(connection)
    .await?;
    Ok(size.unsigned_abs())
}

/// Adds up one part of the sizes; once they pass `left`, what is from there back is too much.
async fn measure(
    connection: &mut PgConnection,
    below: Seq,
    left: u64,
) -> Result<Step, sqlx::Error> {
    let from: Option<Seq> = sqlx::query_scalar(
        "SELECT seq FROM records WHERE seq < $1 ORDER BY seq DESC LIMIT 1 OFFSET $2",
    )
    .bind(below)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    // Inputs may stand before all records that are left.
    let from_here = from.unwrap_or(0);
    let (total, passed): (i64, Option<Seq>) = sqlx::query_as(
        "SELECT COALESCE(MAX(total), 0)::bigint, MAX(seq) FILTER (WHERE total > $1) FROM (
             SELECT seq, SUM(size) OVER (ORDER BY seq DESC) AS total FROM (
                 SELECT seq, octet_length(body)::bigint AS size FROM records
                 WHERE seq >= $2 AND seq < $3
                 UNION ALL
                 SELECT seq, octet_length(body)::bigint AS size FROM inputs
                 WHERE seq >= $2 AND seq < $3
             ) AS sizes
         ) AS sums",
    )
    .bind(i64::try_from(left).unwrap_or(i64::MAX))
    .bind(from_here)
    .bind(below)
    .fetch_one(connection)
    .await?;
    Ok(match (passed, from) {
        (Some(too_much), _) => Step::Inputs { too_much },
        (None, None) => Step::Rest,
        (None, Some(from)) => {
            let left = left.saturating_sub(total.unsigned_abs());
            Step::Measure { below: from, left }
        }
    })
}

/// Removes one part of the inputs that are older than that, and returns how many there were.
async fn inputs_before(connection: &mut PgConnection, from: Timestamp) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM inputs WHERE decision IN (
             SELECT decision FROM inputs WHERE at < $1 ORDER BY at LIMIT $2
         )",
    );
    Ok(removed.bind(from).bind(INPUTS_PART).execute(connection).await?.rows_affected())
}

/// Removes one part of the inputs up to that place, and returns how many there were.
async fn inputs_up_to(connection: &mut PgConnection, too_much: Seq) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM inputs WHERE decision IN (
             SELECT decision FROM inputs WHERE seq <= $1 ORDER BY seq LIMIT $2
         )",
    );
    Ok(removed.bind(too_much).bind(INPUTS_PART).execute(connection).await?.rows_affected())
}

/// Of the records after that place, removes one part of those up to `too_much`; returns its end,
/// unless it was the last one.
async fn up_to(
    connection: &mut PgConnection,
    after: Seq,
    too_much: Seq,
) -> Result<Option<Seq>, sqlx::Error> {
    let end: Option<Seq> = sqlx::query_scalar(
        "SELECT seq FROM records WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT 1 OFFSET $3",
    )
    .bind(after)
    .bind(too_much)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM records USING snapshots
         WHERE records.scope = snapshots.scope AND records.seq <= snapshots.seq
         AND records.seq > $1 AND records.seq <= $2",
    )
    .bind(after)
    .bind(end.unwrap_or(too_much))
    .execute(connection)
    .await?;
    Ok(end)
}

/// Of the records after that time and place, removes one part of those that are too old; returns its
/// end, unless it was the last one.
async fn before(
    connection: &mut PgConnection,
    after: (Timestamp, Seq),
    ticks_from: Timestamp,
    all_from: Timestamp,
) -> Result<Option<(Timestamp, Seq)>, sqlx::Error> {
    let end: Option<(Timestamp, Seq)> = sqlx::query_as(
        "SELECT at, seq FROM records WHERE at >= $1 AND (at, seq) > ($1, $2) AND at < $3
         ORDER BY at, seq LIMIT 1 OFFSET $4",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(ticks_from)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    let last = end.unwrap_or((ticks_from, 0));
    sqlx::query(
        "DELETE FROM records USING snapshots
         WHERE records.scope = snapshots.scope AND records.seq <= snapshots.seq
         AND at >= $1 AND at <= $3
         AND (at, records.seq) > ($1, $2) AND (at, records.seq) <= ($3, $4)
         AND (at < $5 OR kind = 'tick')",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(last.0)
    .bind(last.1)
    .bind(all_from)
    .execute(connection)
    .await?;
    Ok(end)
}
