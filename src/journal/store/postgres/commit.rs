//! Recording: locks first, then every write in its turn, then all records at once.

use std::collections::{BTreeMap, BTreeSet};

use cloud::Timestamp;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Row};
use uuid::Uuid;

use super::read::stored;
use super::{Durability, Scope, Snapshot, Write, Written};
use crate::journal::store::{Fence, NewRecord, Seq, Spend, SpendLimit, What, Whose};
use crate::model::ReplicaId;

pub(super) async fn commit(
    connection: &mut PgConnection,
    me: &ReplicaId,
    writes: &[Write],
    durability: Durability,
    now: Timestamp,
) -> Result<Vec<Written>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    if durability == Durability::Lazy {
        sqlx::query("SET LOCAL synchronous_commit = off").execute(&mut *transaction).await?;
    }
    let mine = lock_leases(&mut transaction, me, writes).await?;
    lock_others(&mut transaction, writes, &mine).await?;
    let mut written = Vec::with_capacity(writes.len());
    let mut accepted: Vec<&Write> = Vec::with_capacity(writes.len());
    for write in writes {
        let refused = refused(&mut transaction, write, &mine).await?;
        if refused.is_none() {
            accepted.push(write);
        }
        written.push(refused);
    }
    let count = accepted.iter().map(|write| write.records.len()).sum();
    let places = draw(&mut transaction, count).await?;
    append(&mut transaction, &accepted, &places).await?;
    keep_inputs(&mut transaction, &accepted, &places, now).await?;
    transaction.commit().await?;

    let mut places = places.into_iter();
    let written = writes.iter().zip(written).map(|(write, refused)| {
        refused
            .unwrap_or_else(|| Written::Done(places.by_ref().take(write.records.len()).collect()))
    });
    Ok(written.collect())
}

/// Locks the leases that `writes` depend on, and returns which `me` holds, living, at which fence.
async fn lock_leases(
    connection: &mut PgConnection,
    me: &ReplicaId,
    writes: &[Write],
) -> Result<BTreeMap<String, Fence>, sqlx::Error> {
    let wanted: BTreeSet<String> =
        writes.iter().filter_map(|write| Some(write.lease.as_ref()?.scope.name())).collect();
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<String> = wanted.into_iter().collect();
    let rows = sqlx::query(
        "SELECT scope, fence FROM leases WHERE scope = ANY ($1) AND holder = $2
         ORDER BY scope FOR UPDATE",
    )
    .bind(wanted)
    .bind(&me.0)
    .fetch_all(&mut *connection)
    .await?;
    // Asked under the locks: waiting for them may have taken the rest of a life.
    let lives = "SELECT EXISTS (SELECT 1 FROM replicas
                 WHERE id = $1 AND alive_until > clock_timestamp())";
    let lives: bool = sqlx::query_scalar(lives).bind(&me.0).fetch_one(connection).await?;
    if !lives {
        return Ok(BTreeMap::new());
    }
    rows.iter().map(|row| Ok((row.try_get("scope")?, row.try_get("fence")?))).collect()
}

/// Locks what no lease locks: scopes that anybody writes, and what is spent.
async fn lock_others(
    connection: &mut PgConnection,
    writes: &[Write],
    mine: &BTreeMap<String, Fence>,
) -> Result<(), sqlx::Error> {
    let mut names = BTreeSet::new();
    for write in writes {
        let scopes = write.records.iter().map(|record| record.scope.name());
        names.extend(scopes.filter(|name| !mine.contains_key(name)));
        if let Some(spend) = &write.spend {
            names.insert(format!("spend of {}", Scope::Account(spend.account.clone()).name()));
            names.insert(format!("spend of {}", Scope::Fleet(spend.fleet.clone()).name()));
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().collect();
    // In the order of the keys, not of the names: two names may have one key. The key is prefixed
    // because others may take advisory locks in the same database.
    sqlx::query(
        "WITH keys AS MATERIALIZED (
             SELECT DISTINCT hashtextextended('fleetscaler ' || name, 0) AS key
             FROM unnest($1::text[]) AS wanted (name) ORDER BY key
         )
         SELECT pg_advisory_xact_lock(key) FROM keys",
    )
    .bind(names)
    .execute(connection)
    .await?;
    Ok(())
}

/// Why nothing of `write` may be recorded, if so. Otherwise its spend is noted.
async fn refused(
    connection: &mut PgConnection,
    write: &Write,
    mine: &BTreeMap<String, Fence>,
) -> Result<Option<Written>, sqlx::Error> {
    if let Some(held) = &write.lease
        && mine.get(&held.scope.name()) != Some(&held.fence)
    {
        return Ok(Some(Written::LeaseLost));
    }
    let Some(spend) = &write.spend else { return Ok(None) };
    let mut spent = Vec::with_capacity(spend.limits.len());
    for limit in &spend.limits {
        spent.push(spent_against(connection, limit, spend).await?);
    }
    if let Some(limit) = spend.passed(&spent) {
        return Ok(Some(Written::Braked(limit.clone())));
    }
    note_spend(connection, spend).await?;
    Ok(None)
}

/// The changes of the kind that `limit` limits, without `spend` itself.
async fn spent_against(
    connection: &mut PgConnection,
    limit: &SpendLimit,
    spend: &Spend,
) -> Result<u64, sqlx::Error> {
    let sum = match limit.whose {
        Whose::Fleet => {
            "SELECT COALESCE(SUM(launches), 0)::bigint, COALESCE(SUM(removals), 0)::bigint
             FROM spend WHERE fleet = $1 AND at > $2 AND intent != $3"
        }
        Whose::Account => {
            "SELECT COALESCE(SUM(launches), 0)::bigint, COALESCE(SUM(removals), 0)::bigint
             FROM spend WHERE account = $1 AND at > $2 AND intent != $3"
        }
    };
    let whose = match limit.whose {
        Whose::Fleet => &spend.fleet.0,
        Whose::Account => &spend.account.0,
    };
    let (launches, removals): (i64, i64) = sqlx::query_as(sum)
        .bind(whose)
        .bind(stored(limit.since))
        .bind(spend.intent)
        .fetch_one(connection)
        .await?;
    let sum = match limit.what {
        What::Launches => launches,
        What::Removals => removals,
    };
    Ok(u64::try_from(sum).unwrap_or(0))
}

async fn note_spend(connection: &mut PgConnection, spend: &Spend) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO spend (intent, at, account, fleet, launches, removals)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (intent) DO UPDATE SET at = excluded.at, account = excluded.account,
             fleet = excluded.fleet, launches = excluded.launches, removals = excluded.removals",
    )
    .bind(spend.intent)
    .bind(stored(spend.at))
    .bind(&spend.account.0)
    .bind(&spend.fleet.0)
    .bind(i64::from(spend.launches))
    .bind(i64::from(spend.removals))
    .execute(connection)
    .await?;
    Ok(())
}

/// Draws so many places, ascending. The scopes are locked already, so a smaller place of any of
/// them is visible by now.
async fn draw(connection: &mut PgConnection, count: usize) -> Result<Vec<Seq>, sqlx::Error> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let draw = "SELECT nextval('places') FROM generate_series(1, $1)";
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let mut places: Vec<Seq> = sqlx::query_scalar(draw).bind(count).fetch_all(connection).await?;
    places.sort_unstable();
    Ok(places)
}

async fn append(
    connection: &mut PgConnection,
    writes: &[&Write],
    places: &[Seq],
) -> Result<(), sqlx::Error> {
    if places.is_empty() {
        return Ok(());
    }
    let records: Vec<&NewRecord> = writes.iter().flat_map(|write| &write.records).collect();
    sqlx::query(
        "INSERT INTO records (seq, scope, at, kind, v, body)
         SELECT * FROM unnest(
             $1::bigint[], $2::text[], $3::timestamptz[], $4::text[], $5::bigint[], $6::text[]
         )",
    )
    .bind(places)
    .bind(records.iter().map(|record| record.scope.name()).collect::<Vec<String>>())
    .bind(records.iter().map(|record| stored(record.at)).collect::<Vec<Timestamp>>())
    .bind(records.iter().map(|record| record.kind).collect::<Vec<&str>>())
    .bind(records.iter().map(|record| record.v).collect::<Vec<i64>>())
    .bind(records.iter().map(|record| record.body.as_str()).collect::<Vec<&str>>())
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the inputs of all writes, each beside the last record that was there when it came.
async fn keep_inputs(
    connection: &mut PgConnection,
    writes: &[&Write],
    places: &[Seq],
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    // By decision: one statement must not touch a row twice.
    let mut kept: BTreeMap<Uuid, (Option<Seq>, Timestamp, &[u8])> = BTreeMap::new();
    let mut so_far = 0;
    for write in writes {
        so_far += write.records.len();
        if let Some((decision, body)) = &write.inputs {
            let at = write.records.first().map_or(now, |record| record.at);
            kept.insert(*decision, (places[..so_far].last().copied(), stored(at), body));
        }
    }
    if kept.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO inputs (decision, seq, at, body)
         SELECT decision, COALESCE(seq, (SELECT MAX(records.seq) FROM records), 0), at, body
         FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::bytea[])
             AS kept (decision, seq, at, body)
         ON CONFLICT (decision) DO UPDATE SET
             seq = excluded.seq, at = excluded.at, body = excluded.body",
    )
    .bind(kept.keys().copied().collect::<Vec<Uuid>>())
    .bind(kept.values().map(|(seq, ..)| *seq).collect::<Vec<Option<Seq>>>())
    .bind(kept.values().map(|(_, at, _)| *at).collect::<Vec<Timestamp>>())
    .bind(kept.values().map(|(.., body)| *body).collect::<Vec<&[u8]>>())
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn save_snapshots(
    connection: &mut PgConnection,
    snapshots: &[(Scope, Snapshot)],
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO snapshots (scope, seq, v, body)
         SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::text[])
             AS saved (scope, seq, v, body)
         -- In one order, in which replicas cannot wait for each other.
         ORDER BY scope COLLATE \"C\"
         ON CONFLICT (scope) DO UPDATE SET seq = excluded.seq, v = excluded.v, body = excluded.body
         WHERE excluded.seq >= snapshots.seq",
    )
    .bind(snapshots.iter().map(|(scope, _)| scope.name()).collect::<Vec<String>>())
    .bind(snapshots.iter().map(|(_, snapshot)| snapshot.seq).collect::<Vec<Seq>>())
    .bind(snapshots.iter().map(|(_, snapshot)| snapshot.v).collect::<Vec<i64>>())
    .bind(snapshots.iter().map(|(_, snapshot)| snapshot.body.as_str()).collect::<Vec<&str>>())
    .execute(connection)
    .await?;
    Ok(())
}
