//! Alibaba Cloud (Aliyun) ECS as a provider.
//!
//! [`Ecs`] reads, writes and previews; `call.rs` is the one call path below it, over a
//! [`Transport`]; `rpc` signs (pure); `codes.rs` is the one table from error codes to classes; `credentials` is the vendor's
//! default chain.

mod call;
mod codes;
pub mod credentials;
mod ecs;
pub mod rpc;
mod settings;
mod transport;
mod wire;

pub use codes::{classify, concerns, is_known};
pub use ecs::{Ecs, METRIC_CALLS_FREE};
pub use rpc::Signature;
pub use settings::{Seams, Settings, SettingsError, Timeouts};
pub use transport::{HttpRequest, HttpResponse, Transport, TransportError};
