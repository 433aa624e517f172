//! The actions, one file each or two.

mod available;
mod delete;
mod describe;
mod power;
mod price;
mod run;
mod tags;
mod whose;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::answer::{ApiError, Outcome};
use crate::balancers;
use crate::faults::Fault;
use crate::monitor;
use crate::state::State;

pub(crate) use whose::{WHOSE, whose};

/// One call of an action.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) action: &'a str,
    /// Of the API.
    pub(crate) version: &'a str,
    pub(crate) parameters: &'a BTreeMap<String, String>,
    /// The fault that hits it, for those that change the effect.
    pub(crate) fault: Option<&'a Fault>,
    /// Instances that it created or began to delete, for the transcript.
    pub(crate) created: Vec<String>,
    pub(crate) deleted: Vec<String>,
    pub(crate) repeated: bool,
}

/// Carries the call out.
pub(crate) fn perform(state: &mut State, call: &mut Call<'_>) -> Outcome {
    if crate::api_prefix(call.version).is_some() {
        crate::policy::authorize(state, call)?;
    }
    if let Some(outcome) = balancers::perform(state, call) {
        return outcome;
    }
    if let Some(outcome) = monitor::perform(state, call) {
        return outcome;
    }
    let is_regional = !matches!(call.action, "DescribeRegions" | "DeleteInstance");
    if is_regional {
        let region = call.required("RegionId")?;
        if region != state.world.region {
            return Err(ApiError::not_found("InvalidRegionId.NotFound", "RegionId"));
        }
    }
    crate::policy::authorize(state, call)?;
    match call.action {
        "RunInstances" => run::run_instances(state, call),
        "DescribeInstances" => describe::describe_instances(state, call),
        "DescribeInstanceStatus" => describe::describe_instance_status(state, call),
        "StartInstances" => power::start_instances(state, call),
        "StopInstances" => power::stop_instances(state, call),
        "DeleteInstances" => delete::delete_instances(state, call),
        "DeleteInstance" => delete::delete_instance(state, call),
        "TagResources" => tags::tag_resources(state, call),
        "UntagResources" => tags::untag_resources(state, call),
        "ListTagResources" => tags::list_tag_resources(state, call),
        "DescribeAvailableResource" => available::describe_available_resource(state, call),
        "DescribePrice" => price::describe_price(state, call),
        "DescribeRegions" => available::describe_regions(state),
        "DescribeZones" => available::describe_zones(state),
        other => {
            let message = format!("The emulator does not know the action {other:?}.");
            Err(ApiError::new(404, "InvalidAction.NotFound", message))
        }
    }
}

impl Call<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.parameters.get(name).map(String::as_str)
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.get(name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(name))
    }

    fn is_true(&self, name: &str) -> bool {
        // The vendor's Python SDK writes True.
        self.get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// A whole number in `range`, or `default`.
    pub(crate) fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
        default: u32,
    ) -> Result<u32, ApiError> {
        let Some(text) = self.get(name) else { return Ok(default) };
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            ApiError::invalid(name, &format!("it must be {} to {}", range.start(), range.end()))
        })
    }

    /// `name.1`, `name.2`, … up to the first gap.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{name}.{n}")).map(str::to_owned)).collect()
    }

    /// `Tag.1.Key` and `Tag.1.Value`, …; a key without a value has `None`.
    pub(crate) fn tags(&self) -> Vec<(String, Option<String>)> {
        let tag = |n: u32| {
            let key = self.get(&format!("Tag.{n}.Key"))?.to_owned();
            Some((key, self.get(&format!("Tag.{n}.Value")).map(str::to_owned)))
        };
        (1..).map_while(tag).collect()
    }

    /// Of the page that is asked for; the first one has none.
    pub(crate) fn token(&self) -> Option<&str> {
        self.get("NextToken").filter(|token| !token.is_empty())
    }

    /// The answer to a dry run that would succeed is an error.
    fn dry_run(&self, code: &str) -> Result<(), ApiError> {
        if self.is_true("DryRun") {
            let message = "Request validation has been passed with DryRun flag set.";
            return Err(ApiError::new(400, code, message));
        }
        Ok(())
    }

    /// The longest that the answer is under way because of a fault.
    fn delay(&self) -> Duration {
        let slow = self.fault.filter(|fault| fault.kind == crate::FaultKind::Slow);
        slow.map_or(Duration::ZERO, |fault| fault.delay.0)
    }

    /// Performs `action` once per client token.
    pub(crate) fn once(
        &mut self,
        state: &mut State,
        action: impl FnOnce(&mut State, &mut Self) -> Outcome,
    ) -> Outcome {
        let Some(token) = self.get("ClientToken").map(str::to_owned) else {
            return action(state, self);
        };
        if token.is_empty() || token.len() > 64 || !token.is_ascii() {
            let message = "The client token is 1 to 64 ASCII characters.";
            return Err(ApiError::new(400, "InvalidClientToken.ValueNotSupported", message));
        }
        let parameters = self.parameters.clone();
        if let Some(outcome) = state.remembered(self.action, &token, &parameters) {
            self.repeated = true;
            return outcome;
        }
        let outcome = action(state, self);
        // A dry run takes no token, a throttled call neither.
        let passing = |error: &ApiError| {
            error.code.starts_with("DryRun") || error.code.starts_with("Throttling")
        };
        if !outcome.as_ref().is_err_and(passing) {
            let delay = self.delay();
            state.remember(self.action, &token, parameters, outcome.clone(), delay);
        }
        outcome
    }
}
