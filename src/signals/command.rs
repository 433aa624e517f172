//! `command`: a number that a program of this machine prints, and the time beside it.
//!
//! The program is run as `programs` has it, with two variables more. It exits with 0
//! and prints a number, or `{"value": 3.5, "time": "…"}`; whatever else it does is a gap.

use std::sync::Arc;

use async_trait::async_trait;
use cloud::{Clock, Redactor};
use tokio::sync::Semaphore;

use super::json::{self, Time};
use super::time::{dated, unix_secs};
use super::{Clients, CommandSpec, Pointer, Source};
use crate::model::{Gap, Reading};
use crate::programs::{self, Ended, ProgramError};

/// 64 KiB of output are read: it is one number.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// One program.
#[derive(Debug)]
pub struct Program {
    spec: CommandSpec,
    /// Places for programs that run at once, of all signals.
    at_once: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl Program {
    /// Runs nothing.
    #[must_use]
    pub fn new(spec: &CommandSpec, shared: &Clients) -> Program {
        Program { spec: spec.clone(), at_once: shared.programs(), clock: shared.clock() }
    }

    async fn sample(&self) -> Reading {
        let _place = self.at_once.acquire().await.expect("nobody closes it");
        let begun = unix_secs(self.clock.now());
        let ended = self.run().await?;
        if !ended.status.success() {
            let message = match ended.said.is_empty() {
                true => "it says nothing on its error output".to_owned(),
                false => ended.said,
            };
            return Err(Gap::QueryFailed { kind: ended.status.to_string(), message });
        }
        let (value, time) = answer(&ended.output).map_err(|gap| saying(gap, &ended.said))?;
        dated(value, time.unwrap_or(begun), unix_secs(self.clock.now()), self.spec.max_age)
    }

    /// Runs the program to its end.
    async fn run(&self) -> Result<Ended, Gap> {
        let CommandSpec { argv, fleet, signal, .. } = &self.spec;
        let facts = [("FLEETSCALER_FLEET", fleet.clone()), ("FLEETSCALER_SIGNAL", signal.clone())];
        programs::run(argv, &facts, OUTPUT_BYTES_MAX).await.map_err(|error| match error {
            ProgramError::NotRun { .. } => Gap::Unreachable { why: error.to_string() },
            ProgramError::TooMuch { .. } | ProgramError::Unread { .. } => {
                Gap::BadAnswer { what: error.to_string(), head: String::new() }
            }
        })
    }
}

/// The number that is printed, with its time where it is given.
fn answer(output: &[u8]) -> Result<(f64, Option<f64>), Gap> {
    let redactor = Redactor::default();
    let bad = |what: &str| {
        let head = json::head(output, &redactor);
        Gap::BadAnswer { what: what.to_owned(), head }
    };
    let text = output.trim_ascii();
    if text.is_empty() {
        return Err(bad("it prints nothing"));
    }
    if text.starts_with(b"{") {
        let value = json::value(output, &Pointer::key("value"), &redactor)?;
        return match json::time(output, &Pointer::key("time"), &redactor)? {
            Time::At(at) => Ok((value, Some(at))),
            Time::NotThere => Ok((value, None)),
        };
    }
    let number = std::str::from_utf8(text).map_err(|_| None).and_then(json::number);
    let none = "it prints neither a number nor an object with `value`";
    number.map(|number| (number, None)).map_err(|gap| gap.unwrap_or_else(|| bad(none)))
}

/// An unusable answer with what the program says of it.
fn saying(gap: Gap, said: &str) -> Gap {
    match gap {
        Gap::BadAnswer { what, head } if !said.is_empty() => {
            Gap::BadAnswer { what: format!("{what} (it says: {said})"), head }
        }
        gap => gap,
    }
}

#[async_trait]
impl Source for Program {
    async fn read(&self) -> Reading {
        let timeout = self.spec.timeout;
        let late = Err(Gap::TimedOut { after: timeout });
        tokio::time::timeout(timeout.get(), self.sample()).await.unwrap_or(late)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cloud::ManualClock;

    use super::*;
    use crate::model::Span;

    async fn read(argv: &[&str]) -> Reading {
        let clock = ManualClock::at("2026-01-02T12:00:00Z".parse().expect("a valid time"));
        let clients = Clients::new(Arc::new(clock), Duration::from_secs(7));
        let spec = CommandSpec {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            fleet: "web".to_owned(),
            signal: "jobs".to_owned(),
            max_age: Span::secs(90),
            timeout: Span::secs(2),
        };
        Program::new(&spec, &clients).read().await
    }

    async fn shell(script: &str) -> Reading {
        read(&["/bin/sh", "-c", script]).await
    }

    #[tokio::test]
    async fn a_number_or_an_object_is_a_sample() {
        for (script, value, age) in [
            ("echo 3.5", 3.5, 0),
            ("printf ' -2e3\\n\\n'", -2000.0, 0),
            (r#"echo '{"value": 7}'"#, 7.0, 0),
            (r#"echo '{"value": 7, "time": "2026-01-02T11:59:50Z", "unit": "jobs"}'"#, 7.0, 10),
            (r#"echo '{"value": "7", "time": 1767355190}'"#, 7.0, 10),
            ("echo a warning >&2; echo 1", 1.0, 0),
            (r#"test "$FLEETSCALER_FLEET/$FLEETSCALER_SIGNAL" = web/jobs && echo 4"#, 4.0, 0),
            ("cat; echo 5", 5.0, 0),
        ] {
            let sample = shell(script).await.unwrap_or_else(|gap| panic!("{script}: {gap}"));
            assert_eq!((sample.value, sample.age), (value, Span::secs(age)), "{script}");
        }
        let plain = read(&["/bin/echo", "$HOME; 1"]).await.expect_err("no shell");
        assert!(plain.to_string().contains("$HOME; 1"), "{plain}");
    }

    #[tokio::test]
    async fn everything_else_is_a_gap_with_its_reason() {
        for (script, gap, says) in [
            ("exit 3", "query_failed", "exit status: 3: it says nothing"),
            ("echo 5; echo no such queue >&2; exit 1", "query_failed", "no such queue"),
            ("kill -9 $$", "query_failed", "signal: 9"),
            ("true", "bad_answer", "it prints nothing"),
            ("echo NaN", "not_finite", "NaN"),
            ("echo inf", "not_finite", "inf"),
            ("echo 5 jobs", "bad_answer", r#"neither a number nor an object with `value`"#),
            ("echo 1; echo 2", "bad_answer", "neither a number"),
            ("echo odd >&2; echo many", "bad_answer", "it says: odd"),
            (r#"echo '{"depth": 5}'"#, "bad_answer", "`/value` is not there"),
            (r#"echo '{"value": null}'"#, "bad_answer", "`/value` is null"),
            (r#"echo '{"value": 5'"#, "bad_answer", "ends too early"),
            (r#"echo '{"value": 5, "time": "noon"}'"#, "age_unknown", "noon"),
            (r#"echo '{"value": 5, "time": 1767350000}'"#, "stale", "old"),
            ("head -c 70000 /dev/zero", "bad_answer", "more than 65536 bytes"),
            ("sleep 30", "timed_out", "within 2s"),
        ] {
            let found = shell(script).await.expect_err(script);
            assert_eq!(found.name(), gap, "{script}: {found}");
            assert!(found.to_string().contains(says), "{script}: {found}");
        }
        let gone = read(&["/no/such/program"]).await.expect_err("nobody");
        assert!(gone.to_string().contains("/no/such/program cannot be run"), "{gone}");
    }

    #[tokio::test]
    async fn what_it_says_is_one_line_of_a_bounded_length() {
        let loud = "head -c 100000 /dev/zero | tr '\\0' 'x' >&2; printf 'a\\nb\\033' >&2; exit 1";
        let gap = shell(loud).await.expect_err("it fails").to_string();
        assert!(gap.len() < 600 && !gap.contains(['\n', '\x1b']), "{gap}");
    }
}
