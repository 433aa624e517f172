//! The configuration: read → parse → check → the values that the stages work with.
//!
//! A configuration is accepted as a whole or refused as a whole, and it is refused with *every*
//! problem at once, each with its line and its fix. Nothing is guessed: an unknown key, an unused
//! signal or a limit that can never work is a problem, not a warning that nobody reads.
//!
//! Only what stands in the file, in the files that it names and in the environment is judged;
//! whether the cloud knows an image or a server answers is for `check --online`.

mod access;
mod api_access;
mod brakes;
mod context;
mod daemon;
mod doubts;
mod env;
mod files;
mod fleet;
mod ids;
mod launch;
mod layers;
mod lifecycle;
mod notify;
mod print;
mod problem;
mod promote;
mod promql;
mod provider;
mod regions;
mod rule;
mod scenario;
mod schedule;
mod schema;
mod secret;
mod shadow;
mod signal;
mod size;
mod sizes;
mod sources;
mod suggest;
mod table;
mod tags;
#[cfg(test)]
mod tests;
mod url;
mod value;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

pub use self::api_access::{ApiToken, Role, TlsFiles};
use self::context::{Context, KnownKeys};
pub use self::env::Env;
use self::files::Files;
pub use self::fleet::default_stabilization;
pub use self::print::whole;
use self::problem::Lines;
pub use self::problem::{About, Problem, Problems};
pub use self::promote::{Edit, PromoteError, Promotion, after as promoted_text, promote};
pub use self::scenario::{load_scenario, parse_scenario};
pub use self::schema::schema;
pub(crate) use self::suggest::hint;
use self::table::Table;
use crate::health::CheckSpec;
use crate::hooks::HookTarget;
use crate::model::{AccountId, Brakes, Fleet, FleetId, Rule, SignalName, Span};
use crate::notify::NotifySpec;
use crate::render::RenderSpec;
use crate::signals::{SourceSpec, UpSpec};

/// A configuration without a problem.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file that it was read from.
    pub path: PathBuf,
    /// The files that this one includes.
    pub included: Vec<PathBuf>,
    pub daemon: Daemon,
    /// By name; each is used by a fleet.
    pub providers: BTreeMap<String, Provider>,
    /// By name; at least one.
    pub fleets: Vec<FleetConfig>,
    /// Channels that are told of alerts.
    pub notify: Vec<NotifySpec>,
    /// What is no problem, and should be known or is probably not meant.
    pub warnings: Vec<Problem>,
}

/// `[daemon]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Daemon {
    /// From one tick of a fleet to the next, for fleets that do not set their own.
    pub interval: Span,
    /// Whose the instances of all fleets are; `None`: the journal's.
    pub installation: Option<String>,
    pub state: StateUrl,
    /// Within this time a fleet whose replica died has another one.
    pub lease: Span,
    /// How long records are kept.
    pub keep: Span,
    /// And how much of them, in MiB.
    pub keep_mib: u32,
    /// Where metrics and the state of health are served.
    pub listen: Option<std::net::SocketAddr>,
    /// Host names by which it may be asked there, beside this machine's own.
    pub listen_hosts: Vec<String>,
    /// The Unix socket on which the API is served.
    pub api_socket: Option<PathBuf>,
    /// The certificate with which `listen` is served.
    pub tls: Option<TlsFiles>,
    /// The tokens that the API knows at `listen`.
    pub api_tokens: Vec<ApiToken>,
}

/// Where the journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateUrl {
    Sqlite {
        path: PathBuf,
    },
    /// A PostgreSQL server, which several replicas may share.
    Postgres {
        /// Without a password.
        url: String,
        password: Option<cloud::Secret>,
    },
    /// Nowhere: everything is forgotten when the process ends.
    Memory,
}

/// `[provider.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    Aliyun(AliyunConfig),
}

/// An account and region of Alibaba Cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct AliyunConfig {
    pub region: String,
    /// Scheme and host without a trailing slash, used as it stands.
    pub endpoint: Option<String>,
    /// Whether the region's endpoint within a VPC is used instead of the public one.
    pub vpc_endpoint: bool,
    /// Where it is asked whose the key is, likewise.
    pub sts_endpoint: Option<String>,
    /// Whether they may be plain http to another machine.
    pub allow_plain_http: bool,
    pub signature: Signature,
    /// Of one attempt of a call that changes nothing.
    pub read_timeout: Span,
    /// Of one attempt of a call that changes something.
    pub write_timeout: Span,
    /// Where they differ from the provider's defaults.
    pub rate_limits: RateLimits,
    pub credentials: Credentials,
    /// Instances of ours that no fleet wants are deleted, not only reported.
    pub deletes_strays: bool,
    /// Of all fleets together.
    pub brakes: Brakes,
}

/// Calls per second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RateLimits {
    pub by_action: BTreeMap<String, f64>,
    /// Of all actions together.
    pub account: Option<f64>,
}

/// How requests are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signature {
    /// RPC signature version 1.0, HMAC-SHA1.
    V1,
    /// ACS3-HMAC-SHA256.
    Acs3,
}

/// Where the access key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// The vendor's default chain.
    VendorChain,
    /// Two files of one line each, readable when the configuration was read.
    Files { id_file: PathBuf, secret_file: PathBuf },
}

/// `[fleet.NAME]`.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetConfig {
    pub fleet: Fleet,
    /// A key of [`Config::providers`].
    pub provider: String,
    /// Instead of the daemon's.
    pub interval: Option<Span>,
    /// One for each of the fleet's signals.
    pub sources: BTreeMap<SignalName, SourceSpec>,
    /// The source that says which instances are up.
    pub up: Option<UpSpec>,
    /// All must agree before an instance is in service.
    pub checks: Vec<CheckSpec>,
    /// The source that tells how much work each instance has.
    pub busy: Option<UpSpec>,
    /// How each of the fleet's hooks is called.
    pub hooks: Vec<HookTarget>,
    /// Files for others.
    pub renders: Vec<RenderSpec>,
}

/// 64 MiB: ten thousand fleets of sixty lines fit in half of it.
const FILE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Reads the configuration at `path` and the files that it includes, with this process's environment.
///
/// # Errors
/// Every problem of the files; when one cannot be read or is not TOML, such alone.
pub fn load(path: &Path) -> Result<Config, Problems> {
    let env = Env::system();
    parse(&text_of(path, &env)?, path, &env)
}

/// The configuration at `path` for a trial that calls nobody: its secrets need not be there.
///
/// # Errors
/// Every other problem of it.
pub fn load_for_trial(path: &Path) -> Result<Config, Problems> {
    let env = Env::system().without_secrets();
    parse(&text_of(path, &env)?, path, &env)
}

fn text_of(path: &Path, env: &Env) -> Result<String, Problem> {
    let refuse = |problem, hint| Problem::of_file(path, problem, hint);
    let bytes = env.read(path, FILE_BYTES_MAX).map_err(|why| {
        refuse(
            format!("the configuration cannot be read: {why}"),
            "name an existing file with --config; config.example.toml shows what goes into it",
        )
    })?;
    String::from_utf8(bytes)
        .map_err(|_| refuse("the file is not UTF-8 text".to_owned(), "save it as UTF-8"))
}

/// Reads a configuration from `text`, which stands in (or as if in) the file `path`, and from the files that
/// it includes.
///
/// # Errors
/// Every problem of the texts; when one is not TOML, the first place where it is not.
pub fn parse(text: &str, path: &Path, env: &Env) -> Result<Config, Problems> {
    parse_files(&Files::read(text, path, env)?, env)
}

fn parse_files(files: &Files, env: &Env) -> Result<Config, Problems> {
    let cx = Context::of(files, env);
    let document = layers::applied(&cx, files.document(&cx)?);
    if cx.has_problems() {
        // What fleets are made of is not known: the rest would be told wrongly.
        return Err(Problems::new(cx.into_problems()));
    }
    let parts = Table::document(&cx, Some(&document), read);
    let warnings = cx.warnings();
    let problems = cx.into_problems();
    match parts {
        Some((Some(daemon), providers, fleets, notify)) if problems.is_empty() => {
            let mut paths = files.all.iter().map(|file| file.path.clone());
            let path = paths.next().expect("the first file");
            let included = paths.collect();
            Ok(Config { path, included, daemon, providers, fleets, notify, warnings })
        }
        _ => Err(Problems::new(problems)),
    }
}

/// The part of a configuration that a command beside the daemon needs: where the journal is, and which fleets
/// there are. What else is wrong with it, and secrets that only the service is given, do not matter.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandConfig {
    pub daemon: Daemon,
    pub fleets: Vec<FleetId>,
    pub providers: Vec<AccountId>,
    /// The longest interval between two ticks of a fleet.
    pub interval: Span,
    /// The problems elsewhere.
    pub problems: Option<Problems>,
}

/// Reads of the configuration at `path` what a command beside the daemon needs.
///
/// # Errors
/// Every problem of the file, when it cannot be read, is not TOML, or its state cannot be told. A file that it
/// includes and that cannot be had is a problem elsewhere.
pub fn load_for_command(path: &Path) -> Result<CommandConfig, Problems> {
    let env = Env::system();
    parse_for_command(&text_of(path, &env)?, path, &env)
}

/// The same, from `text`.
///
/// # Errors
/// See [`load_for_command`].
pub fn parse_for_command(text: &str, path: &Path, env: &Env) -> Result<CommandConfig, Problems> {
    let (files, mut problems) = Files::gather(text, path, env)?;
    let cx = Context::of(&files, env);
    let (document, not_toml) = files.pieces(&cx);
    problems.extend(not_toml);
    if !problems.is_empty() && !document.contains_key("daemon") {
        // It may stand in the file that is missing: no command may take another journal for the daemon's.
        return Err(Problems::new(problems));
    }
    let document = layers::applied(&cx, document);
    let mut fleets = Vec::new();
    let mut providers = Vec::new();
    let parts = Table::document(&cx, Some(&document), |document| {
        fleets = document.names("fleet").into_iter().map(FleetId).collect();
        providers = document.names("provider").into_iter().map(AccountId).collect();
        read(document)
    });
    problems.extend(cx.into_problems());
    let problems = (!problems.is_empty()).then(|| Problems::new(problems));
    let (daemon, configured) = match (parts, problems.clone()) {
        (Some((Some(daemon), _, configured, _)), _) => (daemon, configured),
        (_, problems) => return Err(problems.expect("what is not there was reported")),
    };
    let intervals = configured.iter().map(|fleet| fleet.interval.unwrap_or(daemon.interval));
    let interval = intervals.max().unwrap_or(daemon.interval);
    Ok(CommandConfig { daemon, fleets, providers, interval, problems })
}

/// The fleets of a configuration, each with its interval, for a trial that meets neither the cloud nor a
/// source: what only the service is given is not looked for.
fn parse_for_test(
    text: &str,
    path: &Path,
    env: &Env,
) -> Result<Vec<(FleetConfig, Span)>, Problems> {
    let files = Files::read(text, path, env)?;
    let cx = Context::of(&files, env);
    let document = layers::applied(&cx, files.document(&cx)?);
    let is_whole = !cx.has_problems();
    let parts = Table::document(&cx, Some(&document), read);
    let mut problems = cx.into_problems();
    problems.retain(|problem| problem.about == About::Text);
    match parts {
        Some((daemon, _, fleets, _)) if problems.is_empty() && is_whole => {
            let interval = daemon.map_or(daemon::INTERVAL, |daemon| daemon.interval);
            let paced = |fleet: FleetConfig| {
                let interval = fleet.interval.unwrap_or(interval);
                (fleet, interval)
            };
            Ok(fleets.into_iter().map(paced).collect())
        }
        _ => Err(Problems::new(problems)),
    }
}

/// Reads a file that has nothing but `[[rule]]` tables, for a fleet that has these `signals`.
///
/// # Errors
/// Every problem of the file.
pub fn read_rules(text: &str, path: &Path, signals: &[SignalName]) -> Result<Vec<Rule>, Problems> {
    let document = DeTable::parse(text).map_err(|error| not_toml(path, text, &error))?;
    let env = Env::given(BTreeMap::new(), BTreeMap::new());
    let cx = Context::new(path, text, &env);
    let rules = Table::document(&cx, Some(document.get_ref()), |document| {
        let mut taken = std::collections::BTreeSet::new();
        let rules = document.list("rule", |table| rule::read(table, signals, &mut taken));
        if document.len("rule") == Some(0) {
            document.problem("there is no rule".to_owned(), "add a table [[rule]]");
        }
        Some(rules)
    });
    match (rules, cx.into_problems()) {
        (Some(rules), problems) if problems.is_empty() => Ok(rules),
        (_, problems) => Err(Problems::new(problems)),
    }
}

/// Every key that a configuration may have, by its table: `fleet.NAME.launch` → `image_id`, …
#[must_use]
pub fn known_keys() -> KnownKeys {
    let env = Env::given(BTreeMap::new(), BTreeMap::new());
    let cx = Context::survey(&env);
    drop(Table::document(&cx, None, read));
    cx.into_known()
}

/// `None` for a daemon whose state cannot be told.
type Parts = (Option<Daemon>, BTreeMap<String, Provider>, Vec<FleetConfig>, Vec<NotifySpec>);

fn read(document: &Table<'_>) -> Option<Parts> {
    let daemon = document.table("daemon", daemon::read);
    let providers = document.named("provider", provider::read);
    let names = document.names("provider");
    let mut used = Vec::new();
    let fleets = document.named("fleet", |name, table| {
        document.cx.begin(name);
        let provider = fleet::provider(table, &names);
        used.push(provider.clone());
        fleet::read(name, table, provider)
    });
    document.cx.begin("");
    let notify = document.named("notify", notify::read);
    // The files and the layers have been put together already.
    document.get("include");
    document.get("template");
    document.table("defaults", |table| {
        table.get("fleet");
        Some(())
    });
    if document.names("fleet").is_empty() {
        document.problem(
            "there is no fleet".to_owned(),
            "add a table [fleet.NAME]; config.example.toml shows one",
        );
    }
    check_providers_used(document, &names, &used);
    let providers: BTreeMap<String, Provider> = providers.into_iter().collect();
    // The brakes of an account bind each of its fleets.
    let mut fleets = fleets;
    for fleet in &mut fleets {
        if let Some(Provider::Aliyun(provider)) = providers.get(&fleet.provider) {
            fleet.fleet.account_brakes = provider.brakes;
        }
    }
    let daemon = match document.has("daemon") {
        true => daemon,
        false => Some(daemon::default(document)),
    };
    // An adaptive rule counts in the steps in which its fleet ticks.
    if let Some(daemon) = &daemon {
        for fleet in &mut fleets {
            let interval = fleet.interval.unwrap_or(daemon.interval);
            fleet.fleet.all_rules_mut().for_each(|rule| rule::ticks_every(rule, interval));
        }
    }
    if let Some(daemon) = &daemon
        && !document.cx.has_problems()
    {
        doubts::tell(document, daemon, &providers, &fleets);
    }
    Some((daemon, providers, fleets, notify))
}

/// A provider that no fleet uses is more likely a fleet that is missing. Not checked when a fleet's
/// provider could not be read: it may be this one.
fn check_providers_used(document: &Table<'_>, names: &[String], used: &[Option<String>]) {
    if used.is_empty() || used.contains(&None) {
        return;
    }
    for name in names.iter().filter(|name| !used.contains(&Some((*name).clone()))) {
        document.problem_at_name(
            "provider",
            name,
            format!("no fleet uses the provider `{}`", problem::shown(name)),
            "remove it, or name it in a fleet",
        );
    }
}

fn not_toml(path: &Path, text: &str, error: &toml::de::Error) -> Problem {
    let at = error.span().map_or(text.len(), |span| span.start);
    let message = error.message();
    let hint = if message.contains("duplicate key") {
        "this name stands twice in the same table: rename or remove one"
    } else if message.contains("must be quoted") {
        "put texts and durations in quotes"
    } else {
        "correct the line (or the one before it); problems of meaning are looked for after that"
    };
    let (line, column) = Lines::of(text).position(at);
    Problem {
        file: path.to_owned(),
        line,
        column,
        problem: format!("this is not TOML: {message}"),
        hint: hint.to_owned(),
        about: About::Text,
    }
}
