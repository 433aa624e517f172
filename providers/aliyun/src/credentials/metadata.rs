//! The RAM role of this ECS instance, from the metadata service, in its hardened mode: a token is
//! fetched first, so that a request that is smuggled through a proxy gets nothing.

use std::sync::Arc;
use std::time::Duration;

use cloud::credentials::{Credentials, CredentialsError};
use cloud::http::{client_builder, head, read_limited};
use cloud::{Clock, Secret, Timestamp};
use reqwest::{Client, Method};
use serde::Deserialize;

/// The service's address inside every ECS instance.
const ADDRESS: &str = "http://100.100.100.200";
/// On an instance it answers within milliseconds; elsewhere nobody does, and start-up waits.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The longest validity that the service gives: a token is fetched for each refresh anyway.
const TOKEN_SECONDS: &str = "21600";
/// Its answers have some hundred bytes.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// The metadata service.
#[derive(Debug)]
pub struct Metadata {
    client: Client,
    address: String,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Role {
    code: String,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    access_key_secret: String,
    #[serde(default)]
    security_token: String,
    expiration: Option<Timestamp>,
}

impl Metadata {
    pub fn new(clock: Arc<dyn Clock>) -> Result<Self, CredentialsError> {
        Metadata::at(ADDRESS, clock)
    }

    /// The service at another address, for tests.
    pub fn at(address: &str, clock: Arc<dyn Clock>) -> Result<Self, CredentialsError> {
        let client = client_builder()
            // The service refuses what came through a proxy.
            .no_proxy()
            .tls_certs_only([])
            .timeout(TIMEOUT)
            .build()
            .map_err(|error| {
                CredentialsError(format!("the HTTP client cannot be made: {error}"))
            })?;
        Ok(Metadata { client, address: address.to_owned(), clock })
    }

    /// The credentials of `role`, or of the instance's only role.
    pub(super) async fn fetch(&self, role: Option<&str>) -> Result<Credentials, CredentialsError> {
        let request = self
            .client
            .request(Method::PUT, format!("{}/latest/api/token", self.address))
            .header("X-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let token = self.text(request).await?;
        let base = format!("{}/latest/meta-data/ram/security-credentials/", self.address);
        let role = match role {
            Some(role) => role.to_owned(),
            None => {
                let names = self.text(self.get(&base, &token)).await?;
                names.lines().next().unwrap_or_default().trim().to_owned()
            }
        };
        if role.is_empty() {
            return Err(CredentialsError("this instance has no RAM role".to_owned()));
        }
        let answer = self.text(self.get(&format!("{base}{role}"), &token)).await?;
        let wrong = |why: &str| CredentialsError(format!("the answer for role {role}: {why}"));
        // serde's message could quote the secret.
        let answer: Role =
            serde_json::from_str(&answer).map_err(|_| wrong("is not as documented"))?;
        if answer.code != "Success" {
            return Err(wrong(&format!("has the code {:?}", answer.code)));
        }
        if answer.access_key_id.is_empty() || answer.access_key_secret.is_empty() {
            return Err(wrong("has no key pair"));
        }
        if answer.expiration.is_some_and(|end| end <= self.clock.now()) {
            return Err(wrong("has expired already"));
        }
        Ok(Credentials {
            access_key_id: answer.access_key_id,
            access_key_secret: Secret::new(answer.access_key_secret),
            security_token: Some(answer.security_token).filter(|t| !t.is_empty()).map(Secret::new),
            expires_at: answer.expiration,
        })
    }

    fn get(&self, url: &str, token: &str) -> reqwest::RequestBuilder {
        self.client.get(url).header("X-aliyun-ecs-metadata-token", token)
    }

    async fn text(&self, request: reqwest::RequestBuilder) -> Result<String, CredentialsError> {
        let down = |why: String| CredentialsError(format!("the metadata service: {why}"));
        let response = request.send().await.map_err(|error| {
            down(if error.is_timeout() || error.is_connect() {
                "does not answer (is this an ECS instance?)".to_owned()
            } else {
                "the connection broke".to_owned()
            })
        })?;
        let status = response.status();
        let body = read_limited(response, ANSWER_LIMIT).await.map_err(|e| down(e.to_string()))?;
        if !status.is_success() {
            return Err(down(format!("HTTP {}: {}", status.as_u16(), head(&body))));
        }
        Ok(String::from_utf8_lossy(&body).trim().to_owned())
    }
}
