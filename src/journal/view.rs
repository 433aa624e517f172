//! Reading the journal, for tools: beside a running daemon, without its leases.

use std::collections::BTreeMap;
use std::sync::Arc;

use cloud::Timestamp;

use super::fold::Folded;
use super::store::{self, Query, Record, Scope, Seq, Store};
use super::{JournalError, codec};
use crate::config::StateUrl;
use crate::model::{
    Account, AccountEvent, AccountId, Decided, DecisionId, Event, FleetId, History, Inputs,
    OperatorEvent, Orders,
};

/// Reads what is recorded.
#[derive(Debug, Clone)]
pub struct Reader {
    store: Arc<dyn Store>,
}

/// Which entries.
#[derive(Debug, Clone, Default)]
pub struct Look {
    pub fleet: Option<FleetId>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// At later places of the journal than this one.
    pub after: Option<Seq>,
    /// Of these kinds only; empty: of all.
    pub kinds: Vec<String>,
    /// Only so many, the newest.
    pub newest: Option<u32>,
    /// Only so many, the oldest, where `newest` is not given.
    pub oldest: Option<u32>,
}

/// One record, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub seq: Seq,
    pub at: Timestamp,
    pub scope: Scope,
    pub kind: String,
    pub v: i64,
    /// As it is kept.
    pub body: String,
    /// As it is understood, or why it is not.
    pub said: Result<Said, codec::Unreadable>,
}

/// The content of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    Fleet(Event),
    Account(AccountEvent),
    Operator(OperatorEvent),
}

/// A decision with everything that it was made from.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub decided: Decided,
    /// `None`: past their retention.
    pub inputs: Option<Inputs>,
}

impl Reader {
    /// Opens the store at `url` for reading.
    pub async fn open(url: &StateUrl) -> Result<Reader, JournalError> {
        open_to_look(url).await.map(Reader::over)
    }

    /// Reads from `store`.
    #[must_use]
    pub fn over(store: Arc<dyn Store>) -> Reader {
        Reader { store }
    }

    /// The entries that `look` asks for, in their order.
    pub async fn entries(&self, look: &Look) -> Result<Vec<Entry>, JournalError> {
        Ok(self.look(look).await?.collect())
    }

    /// The same, each understood only when it is its turn: of ten million quiet ticks nobody wants
    /// to keep the meaning.
    pub async fn look(&self, look: &Look) -> Result<impl Iterator<Item = Entry>, JournalError> {
        let query = Query {
            scope: look.fleet.clone().map(Scope::Fleet),
            since: look.since,
            until: look.until,
            after: look.after,
            oldest: look.oldest,
            kinds: look.kinds.clone(),
            newest: look.newest,
            containing: None,
        };
        Ok(self.store.find(&query).await?.into_iter().map(read))
    }

    /// The recorded decision whose id begins with `id`; an error where several do.
    pub async fn decision(&self, id: &str) -> Result<Option<Recorded>, JournalError> {
        let id = id.to_ascii_lowercase();
        let mut found: BTreeMap<DecisionId, Box<Decided>> = BTreeMap::new();
        // A quotation mark and the beginning of the id: the store hands out no other decision of the
        // millions that there may be.
        let query = Query {
            kinds: vec!["decision".to_owned()],
            containing: Some(format!("\"{id}")),
            ..Query::default()
        };
        for record in self.store.find(&query).await? {
            if let Ok(Said::Fleet(Event::Decided(decided))) = read(record).said
                && decided.id.to_string().starts_with(&id)
            {
                found.insert(decided.id, decided);
            }
        }
        if found.len() > 1 {
            let ids = found.keys().take(5).map(DecisionId::to_string).collect::<Vec<_>>();
            return Err(JournalError::Several { id, count: found.len(), ids: ids.join(", ") });
        }
        let Some((_, decided)) = found.pop_first() else { return Ok(None) };
        let inputs = self.inputs(decided.id).await?;
        Ok(Some(Recorded { decided: *decided, inputs }))
    }

    /// The newest decisions of `fleet` that were made at `until` or before, oldest first.
    pub async fn decisions(
        &self,
        fleet: &FleetId,
        until: Option<Timestamp>,
        newest: u32,
    ) -> Result<Vec<Decided>, JournalError> {
        let look = Look {
            fleet: Some(fleet.clone()),
            until,
            kinds: vec!["decision".to_owned()],
            newest: Some(newest),
            ..Look::default()
        };
        let decided = |entry: Entry| match entry.said {
            Ok(Said::Fleet(Event::Decided(decided))) => Some(*decided),
            _ => None,
        };
        Ok(self.look(&look).await?.filter_map(decided).collect())
    }

    /// Everything that the decision was made from; `None`: past their retention.
    pub async fn inputs(&self, id: DecisionId) -> Result<Option<Inputs>, JournalError> {
        let Some(bytes) = self.store.inputs(id.0).await? else { return Ok(None) };
        let inputs = codec::decode_inputs(&bytes).map_err(|why| JournalError::Unreadable {
            what: format!("the inputs of decision {id}"),
            why: why.to_string(),
        })?;
        Ok(Some(inputs))
    }

    /// The history of one fleet.
    pub async fn history(&self, fleet: &FleetId) -> Result<History, JournalError> {
        let scope = Scope::Fleet(fleet.clone());
        Folded::load(&*self.store, &scope).await.map(|folded| folded.value)
    }

    /// The facts of an account.
    pub async fn account(&self, account: &AccountId) -> Result<Account, JournalError> {
        let scope = Scope::Account(account.clone());
        Folded::load(&*self.store, &scope).await.map(|folded| folded.value)
    }

    /// People's words: holds that were placed and not lifted, ended ones among them, and more.
    pub async fn orders(&self) -> Result<Orders, JournalError> {
        Folded::load(&*self.store, &Scope::Operator).await.map(|folded| folded.value)
    }

    /// Every fleet that was ever recorded.
    pub async fn fleets(&self) -> Result<Vec<FleetId>, JournalError> {
        let fleet = |scope| match scope {
            Scope::Fleet(fleet) => Some(fleet),
            _ => None,
        };
        Ok(self.store.scopes().await?.into_iter().filter_map(fleet).collect())
    }

    pub async fn close(&self) {
        self.store.close().await;
    }
}

fn read(record: Record) -> Entry {
    let Record { seq, scope, at, kind, v, body } = record;
    let said = match &scope {
        Scope::Fleet(_) => codec::event(v, &body).map(Said::Fleet),
        Scope::Account(_) => codec::account_event(v, &body).map(Said::Account),
        Scope::Operator => codec::operator_event(v, &body).map(Said::Operator),
    };
    Entry { seq, at, scope, kind, v, body, said }
}

/// The state of a journal that is only looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    Usable,
    /// A daemon uses it; `holder` is its process in parentheses, where that is known.
    InUse {
        holder: String,
    },
    /// The daemon can make it.
    NotYet,
    /// The daemon can carry it over to this version.
    Older,
    /// Nothing is kept.
    Forgotten,
}

/// Whether a daemon can use the journal at `url`.
///
/// # Errors
/// When it cannot, because it is damaged, say, or nobody may write there.
pub async fn examine(url: &StateUrl) -> Result<Examined, JournalError> {
    let examined = match url {
        StateUrl::Memory => return Ok(Examined::Forgotten),
        StateUrl::Sqlite { path } => store::Sqlite::examine(path, codec::VERSION).await,
        StateUrl::Postgres { .. } => {
            async {
                let store = open_to_look(url).await?;
                let read = store.load(&Scope::Operator).await;
                store.close().await;
                read.map(|_| Examined::Usable)
            }
            .await
        }
    };
    match examined {
        Err(JournalError::Older { .. }) => Ok(Examined::Older),
        Err(JournalError::Absent { .. }) => Ok(Examined::NotYet),
        other => other,
    }
}

/// A store through which nothing can be changed.
pub(super) async fn open_to_look(url: &StateUrl) -> Result<Arc<dyn Store>, JournalError> {
    Ok(match url {
        StateUrl::Memory => return Err(JournalError::Forgetful),
        StateUrl::Sqlite { path } => {
            Arc::new(store::Sqlite::open_read_only(path, codec::VERSION).await?)
        }
        StateUrl::Postgres { url, password } => {
            Arc::new(to_database(url, password, store::StoreAccess::Look)?)
        }
    })
}

/// A store that takes what people say, beside a running daemon.
pub(super) async fn open_for_operator(url: &StateUrl) -> Result<Arc<dyn Store>, JournalError> {
    Ok(match url {
        StateUrl::Memory => return Err(JournalError::Forgetful),
        StateUrl::Sqlite { path } => {
            // A person may speak before the daemon ever ran.
            if !path.exists() {
                store::Sqlite::make(path, codec::VERSION).await?;
            }
            Arc::new(store::Sqlite::open_for_operator(path, codec::VERSION).await?)
        }
        StateUrl::Postgres { url, password } => {
            Arc::new(to_database(url, password, store::StoreAccess::OperatorsWord)?)
        }
    })
}

fn to_database(
    url: &str,
    password: &Option<cloud::Secret>,
    access: store::StoreAccess,
) -> Result<store::Postgres, JournalError> {
    store::Postgres::new(&super::options(url, password), access, codec::VERSION)
}
