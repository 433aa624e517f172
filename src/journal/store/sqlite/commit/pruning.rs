//! Removing what is past its retention: what is too old first, then what is too much, a part at a time.
//!
//! Each part looks at a bounded number of rows, whether they go or not, in a transaction of its own:
//! what another method waits for is one part.

use sqlx::sqlite::SqliteConnection;

use super::begin;
use crate::journal::store::{Durability, Retention, Seq};

/// Rows that one part looks at: some 30 ms of work where all of them go.
const PART: u32 = 2_000;
/// Inputs are twenty times as large as records.
const INPUTS_PART: u32 = PART / 20;

/// The records to be removed, and how far that has come.
#[derive(Debug)]
pub(in super::super) struct Pruning {
    keep: Retention,
    next: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Inputs that are too old.
    OldInputs,
    /// Records that are too old, those after this time and place next.
    TooOld {
        after: (i64, Seq),
    },
    /// Whether there may be too much at all: what has gone for its age makes room.
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
    TooMuch {
        too_much: Seq,
        after: Seq,
    },
    Rest,
    Done,
}

/// Does the next part, and returns whether there are more.
pub(in super::super) async fn part(
    connection: &mut SqliteConnection,
    pruning: &mut Pruning,
) -> Result<bool, sqlx::Error> {
    pruning.part(connection).await
}

impl Pruning {
    pub(in super::super) fn of(keep: Retention) -> Pruning {
        Pruning { keep, next: Step::OldInputs }
    }

    async fn part(&mut self, connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
        let Retention { bytes, .. } = self.keep;
        let all_from = self.keep.all_from.timestamp_millis();
        let ticks_from = self.keep.ticks_from.timestamp_millis().max(all_from);
        let mut transaction = begin(connection, Durability::Lazy).await?;
        self.next = match self.next {
            Step::OldInputs => {
                let removed = inputs(&mut transaction, ticks_from, 0).await?;
                if removed == u64::from(INPUTS_PART) {
                    Step::OldInputs
                } else {
                    Step::TooOld { after: (i64::MIN, 0) }
                }
            }
            Step::TooOld { after } => {
                match before(&mut transaction, after, ticks_from, all_from).await? {
                    Some(after) => Step::TooOld { after },
                    None => Step::Weigh,
                }
            }
            // Most files never come near their limit, and the sum of all sizes is long work.
            Step::Weigh if file_size(&mut transaction).await? <= bytes => Step::Rest,
            Step::Weigh => Step::Measure { below: Seq::MAX, left: bytes },
            Step::Measure { below, left } => measure(&mut transaction, below, left).await?,
            Step::Inputs { too_much } => {
                let removed = inputs(&mut transaction, ticks_from, too_much).await?;
                if removed == u64::from(INPUTS_PART) {
                    Step::Inputs { too_much }
                } else {
                    Step::TooMuch { too_much, after: 0 }
                }
            }
            Step::TooMuch { too_much, after } => {
                match up_to(&mut transaction, after, too_much).await? {
                    Some(after) => Step::TooMuch { too_much, after },
                    None => Step::Rest,
                }
            }
            Step::Rest => {
                let spend = "DELETE FROM spend WHERE at < ?";
                sqlx::query(spend).bind(all_from).execute(&mut *transaction).await?;
                let replicas = "DELETE FROM replicas WHERE alive_until < ?";
                sqlx::query(replicas).bind(all_from).execute(&mut *transaction).await?;
                Step::Done
            }
            Step::Done => Step::Done,
        };
        transaction.commit().await?;
        Ok(!matches!(self.next, Step::Done))
    }
}

/// How much is recorded.
pub(in super::super) async fn size(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    file_size(connection).await
}

/// The pages in use: no less than the bodies that are in them.
async fn file_size(connection: &mut SqliteConnection) -> Result<u64, sqlx::Error> {
    let size: i64 = sqlx::query_scalar(
        "SELECT (page_count - freelist_count) * page_size
         FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(size).unwrap_or(u64::MAX))
}

/// Adds up one part of the sizes; once they pass `left`, what is from there back is too much.
async fn measure(
    connection: &mut SqliteConnection,
    below: Seq,
    left: u64,
) -> Result<Step, sqlx::Error> {
    let from: Option<Seq> = sqlx::query_scalar(
        "SELECT seq FROM records WHERE seq < ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
    )
    .bind(below)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    // Inputs may stand before all records that are left.
    let from_here = from.unwrap_or(0);
    let (total, passed): (i64, Option<Seq>) = sqlx::query_as(
        "SELECT COALESCE(MAX(total), 0), MAX(seq) FILTER (WHERE total > ?1) FROM (
             SELECT seq, SUM(size) OVER (ORDER BY seq DESC) AS total FROM (
                 SELECT seq, OCTET_LENGTH(body) AS size FROM records
                 WHERE seq >= ?2 AND seq < ?3
                 UNION ALL
                 SELECT seq, OCTET_LENGTH(body) AS size FROM inputs
                 WHERE seq >= ?2 AND seq < ?3
             )
         )",
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

/// Removes one part of the inputs, and returns how many there were.
async fn inputs(
    connection: &mut SqliteConnection,
    ticks_from: i64,
    too_much: Seq,
) -> Result<u64, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM inputs WHERE decision IN (
             SELECT decision FROM inputs WHERE at < ? OR seq <= ? LIMIT ?
         )",
    )
    .bind(ticks_from)
    .bind(too_much)
    .bind(INPUTS_PART)
    .execute(connection)
    .await?;
    Ok(removed.rows_affected())
}

/// Of the records after that place, removes one part of those up to `too_much`; returns its end,
/// unless it was the last one.
async fn up_to(
    connection: &mut SqliteConnection,
    after: Seq,
    too_much: Seq,
) -> Result<Option<Seq>, sqlx::Error> {
    let end: Option<Seq> = sqlx::query_scalar(
        "SELECT seq FROM records WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT 1 OFFSET ?",
    )
    .bind(after)
    .bind(too_much)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query(
        "DELETE FROM records WHERE seq > ? AND seq <= ?
         AND seq <= COALESCE((SELECT s.seq FROM snapshots s WHERE s.scope = records.scope), 0)",
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
    connection: &mut SqliteConnection,
    after: (i64, Seq),
    ticks_from: i64,
    all_from: i64,
) -> Result<Option<(i64, Seq)>, sqlx::Error> {
    let end: Option<(i64, Seq)> = sqlx::query_as(
        "SELECT at, seq FROM records WHERE at >= ?1 AND (at, seq) > (?1, ?2) AND at < ?3
         ORDER BY at, seq LIMIT 1 OFFSET ?4",
    )
    .bind(after.0)
    .bind(after.1)
    .bind(ticks_from)
    .bind(PART - 1)
    .fetch_optional(&mut *connection)
    .await?;
    let last = end.unwrap_or((ticks_from, 0));
    sqlx::query(
        "DELETE FROM records
         WHERE at BETWEEN ?1 AND ?3 AND (at, seq) > (?1, ?2) AND (at, seq) <= (?3, ?4)
         -- The plus keeps the index of kinds out of it.
         AND (at < ?5 OR +kind = 'tick')
         AND seq <= COALESCE((SELECT s.seq FROM snapshots s WHERE s.scope = records.scope), 0)",
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
