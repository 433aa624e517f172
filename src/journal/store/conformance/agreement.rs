//! A store answers as the one in memory does, whatever is asked in whatever order.
//!
//! Time stands still here, so that a store with a clock of its own can agree: whoever lives, lives
//! long, and whoever dies was given no time at all.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::journal::store::{Memory, Query, Retention, Snapshot, Spend, SpendLimit, What, Whose};

#[derive(Debug, Clone)]
pub(crate) enum Ask {
    Heartbeat { me: u8, dies: bool },
    Claim { me: u8, wanted: Vec<u8>, most: usize, long_free: bool },
    Release { me: u8, scopes: Vec<u8> },
    Depart { me: u8 },
    Commit { me: u8, writes: Vec<Asked> },
    Fold { scope: u8, seq: Seq },
    Prune { ticks_from: u8, all_from: u8, bytes: u8 },
}

/// A write, in numbers.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    lease: Option<(u8, Fence)>,
    records: Vec<(u8, u8, bool)>,
    spend: Option<(u8, u8, u32, u32, u32)>,
    inputs: Option<u8>,
}

/// Few of everything, so that they meet.
fn scope(n: u8) -> Scope {
    match n % 5 {
        3 => account("acme"),
        4 => Scope::Operator,
        n => fleet(["web", "api", "db"][usize::from(n)]),
    }
}

fn who(n: u8) -> ReplicaId {
    replica(["a", "b", "c"][usize::from(n % 3)])
}

/// Some seconds before now: nobody has died before what is kept.
fn at(n: u8) -> Timestamp {
    start() - chrono::TimeDelta::seconds(i64::from(n % 8))
}

pub(crate) fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let few = || prop::collection::vec(any::<u8>(), 0..4);
    let write = (
        prop::option::of((any::<u8>(), 1..4i64)),
        prop::collection::vec(any::<(u8, u8, bool)>(), 0..3),
        prop::option::weighted(0.3, (any::<u8>(), any::<u8>(), 0..4u32, 0..4u32, 0..8u32)),
        prop::option::weighted(0.2, any::<u8>()),
    );
    let write =
        write.prop_map(|(lease, records, spend, inputs)| Asked { lease, records, spend, inputs });
    let ask = prop_oneof![
        4 => any::<(u8, bool)>().prop_map(|(me, dies)| Ask::Heartbeat { me, dies: dies && me > 99 }),
        4 => (any::<u8>(), few(), 0..4usize, any::<bool>()).prop_map(
            |(me, wanted, most, long_free)| Ask::Claim { me, wanted, most, long_free }
        ),
        2 => (any::<u8>(), few()).prop_map(|(me, scopes)| Ask::Release { me, scopes }),
        1 => any::<u8>().prop_map(|me| Ask::Depart { me }),
        8 => (any::<u8>(), prop::collection::vec(write, 0..4))
            .prop_map(|(me, writes)| Ask::Commit { me, writes }),
        2 => (any::<u8>(), 0..30i64).prop_map(|(scope, seq)| Ask::Fold { scope, seq }),
        1 => any::<(u8, u8, u8)>().prop_map(
            |(ticks_from, all_from, bytes)| Ask::Prune { ticks_from, all_from, bytes }
        ),
    ];
    prop::collection::vec(ask, 1..60)
}

fn write(asked: &Asked) -> Write {
    let limit = |most, whose, what| SpendLimit { whose, what, since: at(5), most };
    let records = asked.records.iter().map(|(to, when, tick)| NewRecord {
        at: at(*when),
        kind: if *tick { "tick" } else { "intent" },
        ..record(&scope(*to), &when.to_string())
    });
    Write {
        lease: asked.lease.map(|(of, fence)| Held { scope: scope(of), fence }),
        records: records.collect(),
        spend: asked.spend.map(|(intent, fleet, launches, removals, most)| Spend {
            intent: Uuid::from_u128(u128::from(intent % 6)),
            at: at(intent),
            account: "acme".into(),
            fleet: ["web", "api"][usize::from(fleet % 2)].into(),
            launches,
            removals,
            limits: vec![
                limit(most, Whose::Fleet, What::Launches),
                limit(most + 2, Whose::Account, What::Launches),
                limit(most + 1, Whose::Account, What::Removals),
            ],
        }),
        // Without a record, their place among others is not said.
        inputs: asked
            .inputs
            .filter(|_| !asked.records.is_empty())
            .map(|n| (Uuid::from_u128(u128::from(n % 4)), vec![n; 3])),
    }
}

/// Asks, and tells the answer.
async fn answer(store: &dyn Store, ask: &Ask) -> String {
    let now = start();
    let scopes = |numbers: &[u8]| numbers.iter().map(|n| scope(*n)).collect::<Vec<Scope>>();
    match ask {
        Ask::Heartbeat { me, dies } => {
            let ttl = if *dies { Duration::ZERO } else { LONG };
            format!("{:?}", store.heartbeat(&who(*me), ttl, now).await)
        }
        Ask::Claim { me, wanted, most, long_free } => {
            let free_for = if *long_free { LONG } else { Duration::ZERO };
            let claim = store.claim(&who(*me), &scopes(wanted), *most, free_for, now).await;
            format!("{claim:?}")
        }
        Ask::Release { me, scopes: given } => {
            format!("{:?}", store.release(&who(*me), &scopes(given), now).await)
        }
        Ask::Depart { me } => format!("{:?}", store.depart(&who(*me), now).await),
        Ask::Commit { me, writes } => {
            let writes: Vec<Write> = writes.iter().map(write).collect();
            format!("{:?}", store.commit(&who(*me), &writes, Durability::Lazy, now).await)
        }
        Ask::Fold { scope: of, seq } => {
            let snapshot = Snapshot { seq: *seq, v: 1, body: seq.to_string() };
            format!("{:?}", store.save_snapshot(&scope(*of), &snapshot).await)
        }
        Ask::Prune { ticks_from, all_from, bytes } => {
            let (ticks_from, all_from) = (at(*ticks_from), at(*all_from));
            let keep = Retention { ticks_from, all_from, bytes: u64::from(*bytes) };
            format!("{:?}", store.prune(keep).await)
        }
    }
}

/// Everything that can be read.
async fn state(store: &dyn Store) -> String {
    let mut state = String::new();
    for n in 0..5 {
        let (scope, decision) = (scope(n), Uuid::from_u128(u128::from(n)));
        state += &format!("{:?}\n", store.load(&scope).await);
        state += &format!("{:?}\n", store.inputs(decision).await);
        state += &format!("{:?}\n", store.held(&who(n), start()).await);
        state += &format!("{:?}\n", store.spent(&"acme".into(), at(n)).await);
    }
    state += &format!("{:?}\n{:?}", store.find(&Query::default()).await, store.scopes().await);
    state
}

pub(crate) async fn agrees(store: &dyn Store, asks: &[Ask]) -> Result<(), TestCaseError> {
    let memory = Memory::default();
    for ask in asks {
        let (expected, answer) = (answer(&memory, ask).await, answer(store, ask).await);
        prop_assert_eq!(answer, expected, "{:?}", ask);
        prop_assert_eq!(state(store).await, state(&memory).await, "after {:?}", ask);
    }
    Ok(())
}

/// Asks the store that `$rig` makes in so many ways.
macro_rules! agrees_with_memory {
    ($rig:expr, $cases:literal) => {
        proptest::proptest! {
            #![proptest_config(proptest::prelude::ProptestConfig {
                cases: $cases,
                failure_persistence: None,
                ..proptest::prelude::ProptestConfig::default()
            })]
            #[test]
            fn it_answers_as_the_store_in_memory_does(
                asks in $crate::journal::store::conformance::agreement::asks()
            ) {
                let runtime = tokio::runtime::Runtime::new().expect("a runtime");
                runtime.block_on(async {
                    let rig = $rig.await;
                    let store = rig.store();
                    $crate::journal::store::conformance::agreement::agrees(&*store, &asks).await
                })?;
            }
        }
    };
}
pub(crate) use agrees_with_memory;
