//! The settings by which an account and region is reached.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cloud::credentials::CredentialSource;
use cloud::dice::OsDice;
use cloud::http::Proxies;
use cloud::limit::Rates;
use cloud::{BalancerKind, Dice, http, retry};
use reqwest::Url;

use crate::rpc::Signature;
use crate::transport::{ByHost, Http, Lazily, Transport};

/// How an account in one region is reached.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Such as `cn-hangzhou`.
    pub region: String,
    /// Instead of the region's own endpoint: scheme and host.
    pub endpoint: Option<String>,
    /// The region's endpoint inside a VPC: no public network needed, this region only.
    pub vpc_endpoint: bool,
    /// Where it is asked whose a key is, instead of the region's own STS: scheme and host.
    pub sts_endpoint: Option<String>,
    /// Plain http to anything but loopback shows every request to the network.
    pub allow_plain_http: bool,
    pub signature: Signature,
    pub timeouts: Timeouts,
    pub retry: retry::Policy,
    pub rates: Rates,
    pub credentials: Arc<dyn CredentialSource>,
}

/// The parts that a simulation replaces, so that nothing but the seed decides what happens.
#[derive(Debug, Clone)]
pub struct Seams {
    pub transport: Arc<dyn Transport>,
    pub dice: Arc<dyn Dice>,
}

/// How long one attempt may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub read: Duration,
    pub write: Duration,
}

impl Default for Timeouts {
    /// Reads 10 s, as the vendor's SDK. Writes 30 s: the SDK waits up to 86 s, but a repeated
    /// request with the same token finds the first one's result, so waiting longer gains nothing.
    fn default() -> Self {
        Timeouts { read: Duration::from_secs(10), write: Duration::from_secs(30) }
    }
}

/// Settings that cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(
        "the endpoint {endpoint:?} is not a URL such as https://ecs-cn-hangzhou.aliyuncs.com: {why}"
    )]
    Endpoint { endpoint: String, why: String },
    #[error(
        "the endpoint {endpoint:?} is plain http and not on loopback: use https, or set \
         allow_plain_http = true if you know why"
    )]
    PlainHttp { endpoint: String },
    #[error("the HTTP client cannot be made: {0}")]
    Client(#[source] reqwest::Error),
}

/// Regions whose public endpoint does not follow the rule, from the vendor's SDK.
const IRREGULAR: &[(&str, &str)] = &[("cn-hangzhou", "ecs-cn-hangzhou.aliyuncs.com")];

/// Regions whose CLB is called at one host for all of them, from the vendor's SDK.
const CLB_CENTRAL: &[&str] = &[
    "cn-hangzhou",
    "cn-beijing",
    "cn-shanghai",
    "cn-shenzhen",
    "cn-qingdao",
    "cn-hongkong",
    "ap-southeast-1",
    "us-east-1",
    "us-west-1",
];

impl Settings {
    /// HTTP and the operating system's randomness.
    pub(crate) fn seams(&self) -> Result<Seams, SettingsError> {
        let (url, sts) = (self.url()?, self.sts_url()?);
        let ecs = transport_to(&url)?;
        let mut others: Vec<Url> = Vec::new();
        for kind in [BalancerKind::Clb, BalancerKind::Alb, BalancerKind::Nlb] {
            others.push(self.balancer_url(kind)?);
        }
        others.extend([self.monitor_url()?, sts]);
        others.retain(|other| *other != url);
        let transport: Arc<dyn Transport> = if others.is_empty() {
            Arc::new(ecs)
        } else {
            // Most fleets have neither load balancer nor CloudMonitor: a client is made when it is first needed.
            let others = others.into_iter().map(|url| Lazily::new(url, transport_to)).collect();
            Arc::new(ByHost { ecs, others })
        };
        Ok(Seams { transport, dice: Arc::new(OsDice) })
    }

    /// The URL that requests go to, path `/`.
    pub(crate) fn url(&self) -> Result<Url, SettingsError> {
        self.checked(match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://{}", host(&self.region, self.vpc_endpoint)),
        })
    }

    /// The URL at which it is asked whose a key is. An endpoint that is not the vendor's, such as an
    /// emulator, answers that too.
    pub(crate) fn sts_url(&self) -> Result<Url, SettingsError> {
        if let Some(endpoint) = &self.sts_endpoint {
            return self.checked(endpoint.clone());
        }
        if let Some(url) = self.not_the_vendors()? {
            return Ok(url);
        }
        let name = if self.vpc_endpoint { "sts-vpc" } else { "sts" };
        self.checked(format!("https://{name}.{}.aliyuncs.com", self.region))
    }

    /// The URL of the API of one kind of load balancers.
    pub(crate) fn balancer_url(&self, kind: BalancerKind) -> Result<Url, SettingsError> {
        if let Some(url) = self.not_the_vendors()? {
            return Ok(url);
        }
        let (region, vpc) = (&self.region, if self.vpc_endpoint { "-vpc" } else { "" });
        let is_central = CLB_CENTRAL.contains(&region.as_str());
        self.checked(match kind {
            BalancerKind::Clb if is_central && !self.vpc_endpoint => {
                "https://slb.aliyuncs.com".to_owned()
            }
            BalancerKind::Clb => format!("https://slb{vpc}.{region}.aliyuncs.com"),
            BalancerKind::Alb => format!("https://alb{vpc}.{region}.aliyuncs.com"),
            BalancerKind::Nlb => format!("https://nlb{vpc}.{region}.aliyuncs.com"),
        })
    }

    /// The URL of CloudMonitor.
    pub(crate) fn monitor_url(&self) -> Result<Url, SettingsError> {
        if let Some(url) = self.not_the_vendors()? {
            return Ok(url);
        }
        let name = if self.vpc_endpoint { "metrics-vpc" } else { "metrics" };
        self.checked(format!("https://{name}.{}.aliyuncs.com", self.region))
    }

    /// The configured endpoint where it is not the vendor's, such as an emulator: it speaks every API.
    fn not_the_vendors(&self) -> Result<Option<Url>, SettingsError> {
        let url = self.url()?;
        let is_vendors = url.host_str().is_some_and(|host| host.ends_with(".aliyuncs.com"));
        Ok((self.endpoint.is_some() && !is_vendors).then_some(url))
    }

    /// `endpoint` as a URL, if it may be called.
    fn checked(&self, endpoint: String) -> Result<Url, SettingsError> {
        let wrong = |why: String| SettingsError::Endpoint { endpoint: endpoint.clone(), why };
        let url = Url::parse(&endpoint).map_err(|error| wrong(error.to_string()))?;
        let is_loopback = match url.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => return Err(wrong("it has no host".to_owned())),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() {
            return Err(wrong("give scheme and host only".to_owned()));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if is_loopback || self.allow_plain_http => Ok(url),
            "http" => Err(SettingsError::PlainHttp { endpoint: endpoint.clone() }),
            other => Err(wrong(format!("{other} is neither https nor http"))),
        }
    }
}

fn transport_to(url: &Url) -> Result<Http, SettingsError> {
    let client = http::client_builder_to(url, &Proxies::from_env());
    let (mut builder, proxy) = client.map_err(SettingsError::Client)?;
    if url.scheme() == "http" {
        // A plain connection needs no certificate authorities: a machine without any can run
        // the demo.
        builder = builder.tls_certs_only([]);
    }
    let client = builder.build().map_err(SettingsError::Client)?;
    Ok(Http { client, proxy: proxy.map(|proxy| proxy.name) })
}

fn host(region: &str, vpc: bool) -> String {
    if vpc {
        return format!("ecs-vpc.{region}.aliyuncs.com");
    }
    let irregular: BTreeMap<&str, &str> = IRREGULAR.iter().copied().collect();
    irregular
        .get(region)
        .map_or_else(|| format!("ecs.{region}.aliyuncs.com"), |host| (*host).to_owned())
}
