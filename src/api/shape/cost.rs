//! Money as it is shown.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rounded;
use crate::control::HourlyCost;

/// The cost of a fleet's instances in an hour, at the vendor's pay-as-you-go prices; base instances are left
/// out, and spot instances cost less.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostView {
    pub amount_per_hour: f64,
    /// Such as `CNY`.
    pub currency: String,
    /// Instances that are in it.
    pub priced_instances: u32,
    /// Instances whose price is not known.
    pub unpriced_instances: u32,
}

impl From<HourlyCost> for CostView {
    fn from(cost: HourlyCost) -> CostView {
        CostView {
            amount_per_hour: rounded(cost.amount),
            currency: cost.currency,
            priced_instances: cost.priced,
            unpriced_instances: cost.unpriced,
        }
    }
}
