//! The list of all questions, in the order in which their answers are told, and who is asked each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cloud::BackendGroup;

use crate::config::{Config, FleetConfig, StateUrl};
use crate::model::{Place, SignalName};
use crate::signals::SourceSpec;

/// A fleet may have many types and zones; the first 12 places tell enough, and each costs a call.
const PLACES_ASKED: usize = 12;

#[derive(Debug, Clone)]
pub(super) enum Question<'a> {
    /// Whether the journal can be used, or will be.
    State(&'a StateUrl),
    /// Whether the provider accepts the credentials.
    List(&'a str),
    /// Whether the base instances that are named exist.
    Base(&'a FleetConfig),
    Launch(&'a FleetConfig, Place),
    /// Nothing: the launches are counted here that were not asked.
    MoreLaunches(&'a FleetConfig),
    Backends(&'a FleetConfig, &'a BackendGroup),
    End(&'a FleetConfig),
    Signal(SignalAsked<'a>),
    /// Whether the key may do more than is needed, tried with a launch of this fleet.
    Excess(&'a str, Option<&'a FleetConfig>),
    /// Nothing: the calls of a month are counted.
    Month(&'a str),
    /// Nothing: the questions are counted here that were not put to the provider.
    Rest(&'a str),
}

#[derive(Debug, Clone, Copy)]
pub(super) struct SignalAsked<'a> {
    pub(super) fleet: &'a FleetConfig,
    pub(super) name: &'a SignalName,
    pub(super) source: &'a SourceSpec,
}

/// Who is asked. One peer is asked one thing after the other.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Nobody,
    State,
    Provider(String),
    Server {
        /// Scheme, host and port.
        origin: String,
        /// A server that one client trusts may be a stranger to another.
        ca_file: Option<PathBuf>,
    },
    Program {
        fleet: String,
        signal: String,
    },
}

/// The questions to one peer, each with its place in the order of all.
pub(super) struct Lane<'a> {
    pub(super) peer: Peer,
    pub(super) questions: Vec<(usize, Question<'a>)>,
}

/// Every question about `config`.
pub(super) fn all(config: &Config) -> Vec<Question<'_>> {
    let mut all = vec![Question::State(&config.daemon.state)];
    all.extend(config.providers.keys().map(|name| Question::List(name)));
    for fleet in &config.fleets {
        if fleet.fleet.base.as_ref().is_some_and(|base| !base.ids.is_empty()) {
            all.push(Question::Base(fleet));
        }
        all.extend(places(fleet).into_iter().map(|place| Question::Launch(fleet, place)));
        all.push(Question::MoreLaunches(fleet));
        let balancers = fleet.fleet.lifecycle.balancers.iter();
        all.extend(balancers.map(|balancer| Question::Backends(fleet, &balancer.group)));
        all.push(Question::End(fleet));
        all.extend(
            fleet
                .sources
                .iter()
                .map(|(name, source)| Question::Signal(SignalAsked { fleet, name, source })),
        );
    }
    for name in config.providers.keys() {
        let fleet = config.fleets.iter().find(|fleet| fleet.provider == *name);
        all.push(Question::Excess(name, fleet));
    }
    all.extend(config.providers.keys().map(|name| Question::Month(name)));
    all.extend(config.providers.keys().map(|name| Question::Rest(name)));
    all
}

/// The same by peer, in the order in which the peers are first asked.
pub(super) fn lanes(questions: Vec<Question<'_>>) -> Vec<Lane<'_>> {
    let mut lanes: Vec<Lane<'_>> = Vec::new();
    let mut known: BTreeMap<Peer, usize> = BTreeMap::new();
    for (slot, question) in questions.into_iter().enumerate() {
        let peer = question.peer();
        let at = *known.entry(peer.clone()).or_insert(lanes.len());
        if at == lanes.len() {
            lanes.push(Lane { peer, questions: Vec::new() });
        }
        lanes[at].questions.push((slot, question));
    }
    lanes
}

pub(super) fn places(fleet: &FleetConfig) -> Vec<Place> {
    let launch = &fleet.fleet.launch;
    let places = launch.instance_types.iter().flat_map(|instance_type| {
        launch.vswitches.iter().map(move |vswitch| Place {
            instance_type: instance_type.clone(),
            vswitch: vswitch.clone(),
        })
    });
    places.take(PLACES_ASKED).collect()
}

impl Question<'_> {
    fn peer(&self) -> Peer {
        match self {
            Question::State(_) => Peer::State,
            Question::Month(_) => Peer::Nobody,
            Question::List(name) | Question::Excess(name, _) | Question::Rest(name) => {
                Peer::Provider((*name).to_owned())
            }
            Question::Base(fleet)
            | Question::Launch(fleet, _)
            | Question::MoreLaunches(fleet)
            | Question::Backends(fleet, _)
            | Question::End(fleet) => Peer::Provider(fleet.provider.clone()),
            Question::Signal(signal) => signal.peer(),
        }
    }

    /// Whether somebody is asked, so that it takes time.
    pub(super) fn is_asked(&self) -> bool {
        match self {
            Question::MoreLaunches(_) | Question::Month(_) | Question::Rest(_) => false,
            Question::Signal(signal) => !matches!(signal.source, SourceSpec::Push(_)),
            _ => true,
        }
    }

    /// The question in words.
    pub(super) fn what(&self) -> String {
        match self {
            Question::State(StateUrl::Sqlite { path }) => format!("state {}", path.display()),
            Question::State(StateUrl::Postgres { .. }) => "state in the database".to_owned(),
            Question::State(StateUrl::Memory) => "state in memory".to_owned(),
            Question::List(name) => {
                format!("provider {name}: credentials, and permission to list")
            }
            Question::Base(fleet) => format!("fleet {}: base instances", fleet.fleet.id),
            Question::Launch(fleet, place) => format!("fleet {}: launch {place}", fleet.fleet.id),
            Question::MoreLaunches(fleet) => format!("fleet {}: more launches", fleet.fleet.id),
            Question::Backends(fleet, group) => format!("fleet {}: {group}", fleet.fleet.id),
            Question::End(fleet) => format!("fleet {}: end an instance", fleet.fleet.id),
            Question::Signal(signal) => {
                format!("fleet {}: signal {}", signal.fleet.fleet.id, signal.name)
            }
            Question::Excess(name, _) => {
                format!("provider {name}: no permission beyond what is needed")
            }
            Question::Month(name) => format!("provider {name}: CloudMonitor"),
            Question::Rest(name) => format!("provider {name}: more checks"),
        }
    }
}

impl SignalAsked<'_> {
    fn peer(&self) -> Peer {
        let server = |url: &str, ca_file: &Option<PathBuf>| Peer::Server {
            origin: origin(url),
            ca_file: ca_file.clone(),
        };
        match self.source {
            SourceSpec::Prometheus(spec) => server(&spec.url, &spec.access.ca_file),
            SourceSpec::HttpJson(spec) => server(&spec.url, &spec.access.ca_file),
            SourceSpec::CloudMonitor(_) => Peer::Provider(self.fleet.provider.clone()),
            SourceSpec::Command(spec) => {
                Peer::Program { fleet: spec.fleet.clone(), signal: spec.signal.clone() }
            }
            SourceSpec::Push(_) => Peer::Nobody,
        }
    }
}

/// Scheme, host and port of `url`: nothing of it that may be secret.
fn origin(url: &str) -> String {
    reqwest::Url::parse(url)
        .map_or_else(|_| url.to_owned(), |url| url.origin().ascii_serialization())
}
