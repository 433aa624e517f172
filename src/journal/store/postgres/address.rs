//! Where the database is, without ever showing it.
//!
//! The address is read here before the driver reads it: the driver logs parameters that it does not
//! know, and one of them could be a misspelt password.

use std::fmt;
use std::net::IpAddr;

use cloud::Secret;
use reqwest::Url;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use super::JournalError;

/// A statement of ours takes milliseconds. What takes 5 s waits for something that is broken.
const STATEMENT_MS: &str = "5000";
/// Less than a statement's time, so that the error says that it was a lock.
const LOCK_MS: &str = "3000";
/// A replica that is paused or cut off in a transaction holds up the others no longer than this.
const IDLE_MS: &str = "5000";
/// Options that an address may have beside the place; the driver knows these.
const PARAMETERS: [&str; 6] =
    ["application_name", "host", "sslcert", "sslkey", "sslmode", "sslrootcert"];

/// Where the database is and how to get in.
#[derive(Clone)]
pub struct PostgresOptions {
    /// `postgres://USER@HOST:PORT/DATABASE?sslmode=…`, without a password.
    pub url: String,
    /// Without one, what PostgreSQL's own programs would take: `PGPASSWORD` or `~/.pgpass`.
    pub password: Option<Secret>,
}

/// Somebody may have written the password into the address, so that is not shown either.
impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").finish_non_exhaustive()
    }
}

impl PostgresOptions {
    /// The driver's form of it, and the name of the database for errors.
    pub(super) fn parse(&self) -> Result<(PgConnectOptions, String), JournalError> {
        let wrong = |why: &str| JournalError::Address { why: why.to_owned() };
        let url = Url::parse(&self.url).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(wrong("it must begin with postgres://"));
        }
        if url.password().is_some() {
            return Err(wrong("it holds a password, which belongs into a file of its own"));
        }
        // A password with a slash in it ends the host early, and the rest of it would be here.
        let database = url.path().trim_start_matches('/');
        if database.is_empty() || database.contains(['/', '@']) {
            return Err(wrong("it must end in /DATABASE, one word"));
        }
        if url.query_pairs().any(|(name, _)| !PARAMETERS.contains(&&*name)) {
            return Err(wrong(&format!("it may say {} only", PARAMETERS.join(", "))));
        }
        let options: PgConnectOptions =
            self.url.parse().map_err(|_| wrong("the driver does not understand it"))?;
        let mut options = options.disable_statement_logging().options([
            ("search_path", "fleetscaler"),
            ("statement_timeout", STATEMENT_MS),
            ("lock_timeout", LOCK_MS),
            ("idle_in_transaction_session_timeout", IDLE_MS),
            // A lost heartbeat would end a lease before its holder expects it.
            ("synchronous_commit", "on"),
        ]);
        if let Some(password) = &self.password {
            options = options.password(password.expose());
        }
        let named = url.query_pairs().any(|(name, _)| name == "sslmode")
            || std::env::var_os("PGSSLMODE").is_some();
        if !is_this_machine(&options) {
            match options.get_ssl_mode() {
                // Without a word about it: somebody on the way could take the password, and write
                // what he likes into the journal.
                _ if !named => options = options.ssl_mode(PgSslMode::VerifyFull),
                PgSslMode::Allow | PgSslMode::Prefer => {
                    return Err(wrong(
                        "sslmode prefer and allow protect nothing: whoever sits between chooses; \
                         name verify-full, or disable",
                    ));
                }
                _ => {}
            }
        }
        if options.get_application_name().is_none() {
            options = options.application_name("fleetscaler");
        }
        let name = match options.get_socket() {
            Some(socket) => format!("{database} at {}", socket.display()),
            None => format!("{database} at {}:{}", options.get_host(), options.get_port()),
        };
        Ok((options, name))
    }
}

/// Whether what is sent never leaves this machine.
fn is_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host == "localhost"
        || host.starts_with('/')
        || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<String, String> {
        let options = PostgresOptions {
            url: url.to_owned(),
            password: Some(Secret::new("hidden-word".to_owned())),
        };
        assert!(
            !format!("{options:?}").contains("hidden") && !format!("{options:?}").contains("@")
        );
        options.parse().map(|(_, name)| name).map_err(|error| error.to_string())
    }

    #[test]
    fn a_database_is_named_by_its_name_host_and_port() {
        let name = parsed("postgres://scaler@db.example:6432/fleets?sslmode=verify-full");
        assert_eq!(name.as_deref(), Ok("fleets at db.example:6432"));
        let name = parsed("postgres://scaler@localhost/fleets?host=/run/postgresql");
        assert_eq!(name.as_deref(), Ok("fleets at /run/postgresql"));
    }

    #[test]
    fn a_wrong_address_is_refused_without_showing_any_of_it() {
        for (url, why) in [
            ("db.example", "relative URL without a base"),
            ("mysql://secretive@db/fleets", "it must begin with postgres://"),
            ("postgres://scaler:secretive@db/fleets", "it holds a password"),
            ("postgres://scaler:12/secretive@db/fleets", "it must end in /DATABASE"),
            ("postgres://scaler:sec/retive@db/fleets", "invalid port number"),
            ("postgres://scaler@db/", "it must end in /DATABASE"),
            ("postgres://scaler@db/fleets?pasword=secretive", "it may say application_name"),
            ("postgres://scaler@db/fleets?password=secretive", "it may say application_name"),
            ("postgres://scaler@db/fleets?sslmode=secretive", "the driver does not understand"),
        ] {
            let error = parsed(url).expect_err(url);
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secretive") && !error.contains("retive"), "{url}: {error}");
        }
    }

    #[test]
    fn another_machine_is_asked_only_under_a_verified_name_unless_the_address_says_otherwise() {
        for (url, mode) in [
            ("postgres://scaler@db.example/fleets", "VerifyFull"),
            ("postgres://scaler@192.0.2.7:6432/fleets", "VerifyFull"),
            ("postgres://scaler@db.example/fleets?sslmode=require", "Require"),
            ("postgres://scaler@db.example/fleets?sslmode=disable", "Disable"),
            ("postgres://scaler@localhost/fleets", "Prefer"),
            ("postgres://scaler@127.0.0.1/fleets", "Prefer"),
            ("postgres://scaler@[::1]/fleets", "Prefer"),
            ("postgres://scaler@localhost/fleets?host=/run/postgresql", "Prefer"),
            ("postgres://scaler@localhost/fleets?host=db.example", "VerifyFull"),
        ] {
            let options = PostgresOptions { url: url.to_owned(), password: None };
            let (options, _) = options.parse().expect(url);
            assert_eq!(format!("{:?}", options.get_ssl_mode()), mode, "{url}");
        }
        for mode in ["prefer", "allow"] {
            let error = parsed(&format!("postgres://scaler@db.example/fleets?sslmode={mode}"));
            assert!(error.expect_err(mode).contains("name verify-full, or disable"));
            assert!(parsed(&format!("postgres://scaler@localhost/f?sslmode={mode}")).is_ok());
        }
    }
}
