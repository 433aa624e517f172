//! The vendor's APIs that are called, and where each is reached.

use cloud::BalancerKind;
use reqwest::Url;

use crate::settings::{Settings, SettingsError};

/// One API of the vendor's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    Ecs,
    Balancer(BalancerKind),
    /// CloudMonitor.
    Monitor,
}

impl Api {
    /// The version that requests name.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Api::Ecs => "2014-05-26",
            Api::Balancer(BalancerKind::Clb) => "2014-05-15",
            Api::Balancer(BalancerKind::Alb) => "2020-06-16",
            Api::Balancer(BalancerKind::Nlb) => "2022-04-30",
            Api::Monitor => "2019-01-01",
        }
    }
}

/// The URL of each API.
#[derive(Debug)]
pub(super) struct Urls {
    ecs: Url,
    clb: Url,
    alb: Url,
    nlb: Url,
    monitor: Url,
}

impl Urls {
    pub(super) fn of(settings: &Settings) -> Result<Urls, SettingsError> {
        Ok(Urls {
            ecs: settings.url()?,
            clb: settings.balancer_url(BalancerKind::Clb)?,
            alb: settings.balancer_url(BalancerKind::Alb)?,
            nlb: settings.balancer_url(BalancerKind::Nlb)?,
            monitor: settings.monitor_url()?,
        })
    }

    pub(super) fn of_api(&self, api: Api) -> &Url {
        match api {
            Api::Ecs => &self.ecs,
            Api::Balancer(BalancerKind::Clb) => &self.clb,
            Api::Balancer(BalancerKind::Alb) => &self.alb,
            Api::Balancer(BalancerKind::Nlb) => &self.nlb,
            Api::Monitor => &self.monitor,
        }
    }
}
