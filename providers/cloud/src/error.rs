//! The one error of all providers. What failed is its [`ErrorKind`]; what to do about it its [`Class`].

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The way in which a caller may go on after a failed cloud call. Every [`Error`] has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing happened; the same request may be sent again after a backoff.
    Transient,
    /// We are asking too often: slow this account and action down, not just this call.
    Throttled { retry_after: Option<Duration> },
    /// It may have happened. Look (by client token or intent tag) before asking anew.
    Ambiguous,
    /// This zone and type are sold out: plan elsewhere, do not repeat.
    NoCapacity,
    /// An account limit or the balance: stop launching for this account, tell a person.
    Quota,
    /// Credentials or permissions: stop everything for this account, tell a person.
    Auth,
    /// The resource is in a state that does not allow it now: read it again and plan anew.
    Conflict,
    /// The resource does not exist (any more): a delete has reached its goal.
    Gone,
    /// Asking again cannot help until a person changes something.
    Permanent,
}

impl Class {
    /// The class as it appears in logs, metrics and the journal.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Class::Transient => "transient",
            Class::Throttled { .. } => "throttled",
            Class::Ambiguous => "ambiguous",
            Class::NoCapacity => "no_capacity",
            Class::Quota => "quota",
            Class::Auth => "auth",
            Class::Conflict => "conflict",
            Class::Gone => "gone",
            Class::Permanent => "permanent",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The subject of a refused launch: what would have to be another for it to be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concerns {
    /// The instance type in this vSwitch, whoever asks: stock, mostly.
    Place,
    /// The instance type in every vSwitch.
    InstanceType,
    /// The vSwitch with every type: its addresses, its state, its zone.
    #[serde(rename = "vswitch")]
    VSwitch,
    /// How the spec goes with the place, such as a disk category that the type does not take:
    /// another spec may be accepted there, and this one elsewhere.
    Fit,
    /// The spec in every place: its image, security groups, role, key pair.
    Spec,
    /// The account: money, its quota, its credentials.
    Account,
    /// This request or this moment only.
    Moment,
    /// A code that nobody has described: the spec, until another spec meets it too.
    Unknown,
}

impl Concerns {
    /// The subject of a refusal of `class` where its code says nothing.
    #[must_use]
    pub fn of_class(class: Class) -> Concerns {
        match class {
            Class::NoCapacity => Concerns::Place,
            Class::Quota | Class::Auth => Concerns::Account,
            Class::Permanent => Concerns::Spec,
            Class::Transient
            | Class::Throttled { .. }
            | Class::Ambiguous
            | Class::Conflict
            | Class::Gone => Concerns::Moment,
        }
    }

    /// Whether the same launch may be accepted in another place.
    #[must_use]
    pub fn is_local(self) -> bool {
        match self {
            Concerns::Place | Concerns::InstanceType | Concerns::VSwitch | Concerns::Fit => true,
            Concerns::Spec | Concerns::Account | Concerns::Moment | Concerns::Unknown => false,
        }
    }
}

/// The failure itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ErrorKind {
    /// The provider answered with an error code of its own. `concerns`: what it is about when a
    /// launch is refused with it.
    Refused { code: String, message: String, concerns: Concerns },
    /// The provider knows the client token from a request with other parameters. What that one did
    /// only a look tells; to repeat this one can never succeed.
    TokenMismatch { code: String, message: String },
    /// The answer is not what this API answers: an HTML or XML page, a truncated or empty body,
    /// JSON without the fields that it must have. `head` is its first 200 characters.
    BadAnswer { what: String, head: String },
    /// The answer is larger than `limit` bytes and was not read to its end.
    TooLarge { limit: u64 },
    /// No answer within the call's time-out.
    TimedOut { after: Duration },
    /// No connection was made: nothing was sent.
    NotConnected { why: String },
    /// The connection broke after the request was (or may have been) sent.
    Cut { why: String },
    /// The operation's total deadline ended before an attempt succeeded; `last` is the failure of
    /// the last attempt.
    Deadline { after: Duration, last: String },
    /// There are no usable credentials; nothing was sent.
    NoCredentials { why: String },
    /// The key belongs to another account than the one that the calls are for; nothing was sent.
    OtherAccount { found: String, expected: String },
    /// The call was not sent (again): its permit had run out, the rate limit would not let it
    /// through in time, or its arguments are not acceptable.
    NotSent { why: String },
}

/// A failed cloud call. `Display` is one line that reads alone; it never contains a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The provider's name of the action, such as `RunInstances`.
    pub action: String,
    pub class: Class,
    pub kind: ErrorKind,
    /// HTTP status, where an answer came.
    pub status: Option<u16>,
    /// The provider's id of the request, for its support.
    pub request_id: Option<String>,
    /// How many attempts were made, the first included.
    pub attempts: u32,
}

impl Error {
    /// The provider's error code, where it gave one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.kind {
            ErrorKind::Refused { code, .. } | ErrorKind::TokenMismatch { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let action = &self.action;
        match &self.kind {
            ErrorKind::Refused { code, message, .. } => {
                write!(f, "{action} was refused: {code}: {message}")?;
            }
            ErrorKind::TokenMismatch { code, message } => {
                write!(f, "{action} repeats a client token for something else: {code}: {message}")?;
            }
            ErrorKind::BadAnswer { what, head } if head.is_empty() => {
                write!(f, "{action} got an unusable answer: {what}")?;
            }
            ErrorKind::BadAnswer { what, head } => {
                write!(f, "{action} got an unusable answer: {what}; it begins {head:?}")?;
            }
            ErrorKind::TooLarge { limit } => {
                write!(f, "{action} got an answer larger than {limit} bytes")?;
            }
            ErrorKind::TimedOut { after } => write!(f, "{action} had no answer within {after:?}")?,
            ErrorKind::NotConnected { why } => write!(f, "{action} could not connect: {why}")?,
            ErrorKind::Cut { why } => write!(f, "{action} lost its connection: {why}")?,
            ErrorKind::Deadline { after, last } => {
                write!(f, "{action} did not succeed within {after:?}; last: {last}")?;
            }
            ErrorKind::NoCredentials { why } => write!(f, "{action} has no credentials: {why}")?,
            ErrorKind::OtherAccount { found, expected } => write!(
                f,
                "{action} was not sent: the key is of account {found}, and the instances are in \
                 account {expected}"
            )?,
            ErrorKind::NotSent { why } => write!(f, "{action} was not sent: {why}")?,
        }
        write!(f, " ({}", self.class)?;
        if let Some(status) = self.status {
            write!(f, ", HTTP {status}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", RequestId {id}")?;
        }
        if self.attempts > 1 {
            write!(f, ", {} attempts", self.attempts)?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for Error {}
