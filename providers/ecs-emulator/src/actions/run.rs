//! RunInstances.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cloud::clock;
use serde_json::json;

use super::Call;
use crate::FaultKind;
use crate::answer::{ApiError, Outcome};
use crate::machine::{Machine, Power};
use crate::state::State;

pub(super) fn run_instances(state: &mut State, call: &mut Call<'_>) -> Outcome {
    if call.is_true("DryRun") {
        if call.number("Amount", 1..=100, 1)? != 1 {
            return Err(ApiError::new(
                403,
                "DryRun.InvalidAmount",
                "A dry run takes one instance.",
            ));
        }
        let launch = LaunchRequest::checked(state, call)?;
        launch.available(state, call)?;
        call.dry_run("DryRunOperation")?;
    }
    call.once(state, |state, call| {
        let launch = LaunchRequest::checked(state, call)?;
        state.throttle_instances(launch.amount)?;
        let amount = launch.available(state, call)?;
        call.created = (0..amount).map(|n| launch.create(state, call, n)).collect();
        if let Some(stock) = state.world.stock.get_mut(&launch.place()) {
            *stock -= amount;
        }
        if let Some(vswitch) = state.world.vswitches.get_mut(&launch.vswitch) {
            vswitch.ips -= amount;
        }
        Ok(json!({
            "InstanceIdSets": { "InstanceIdSet": call.created },
            // The documents show it as a string and the SDK as a number.
            "TradePrice": 0.165,
        }))
    })
}

/// A launch whose parameters are fine.
struct LaunchRequest {
    amount: u32,
    min_amount: u32,
    all_or_nothing: bool,
    instance_type: String,
    image: String,
    vswitch: String,
    zone: String,
    security_groups: Vec<String>,
    name: Option<String>,
    spot: String,
    deletion_protection: bool,
    tags: Vec<(String, String)>,
}

impl LaunchRequest {
    fn checked(state: &State, call: &Call<'_>) -> Result<LaunchRequest, ApiError> {
        let world = &state.world;
        let amount = call.number("Amount", 1..=100, 1)?;
        let min_amount = call.number("MinAmount", 1..=100, amount)?;
        if min_amount > amount {
            return Err(ApiError::new(
                400,
                "InvalidMinAmount.Malformed",
                "MinAmount above Amount.",
            ));
        }
        let image = call.required("ImageId")?.to_owned();
        if !world.images.contains(&image) {
            return Err(ApiError::not_found("InvalidImageId.NotFound", "ImageId"));
        }
        let instance_type = call.required("InstanceType")?.to_owned();
        if !world.instance_types.contains(&instance_type) {
            let message =
                "The specified InstanceType does not exist or beyond the permitted range.";
            return Err(ApiError::new(400, "InvalidInstanceType.ValueNotSupported", message));
        }
        let vswitch = call.required("VSwitchId")?.to_owned();
        let Some(network) = world.vswitches.get(&vswitch) else {
            return Err(ApiError::not_found("InvalidVSwitchId.NotFound", "VSwitchId"));
        };
        if call.get("ZoneId").is_some_and(|zone| zone != network.zone) {
            let message = "The zone of the vSwitch and the zone of the request differ.";
            return Err(ApiError::new(400, "InvalidParameter.Mismatch", message));
        }
        let single = call.get("SecurityGroupId").map(str::to_owned);
        let several = call.list("SecurityGroupIds");
        if single.is_some() != several.is_empty() {
            return Err(if single.is_some() {
                ApiError::new(
                    400,
                    "InvalidParameter.Conflict",
                    "Give one of SecurityGroupId and SecurityGroupIds.N.",
                )
            } else {
                ApiError::missing("SecurityGroupId")
            });
        }
        let security_groups: Vec<String> = single.into_iter().chain(several).collect();
        if security_groups.iter().any(|group| !world.security_groups.contains(group)) {
            return Err(ApiError::not_found("InvalidSecurityGroupId.NotFound", "SecurityGroupId"));
        }
        let spot = call.get("SpotStrategy").unwrap_or("NoSpot").to_owned();
        match spot.as_str() {
            "NoSpot" | "SpotAsPriceGo" => {}
            "SpotWithPriceLimit" if call.get("SpotPriceLimit").is_some() => {}
            "SpotWithPriceLimit" => return Err(ApiError::missing("SpotPriceLimit")),
            _ => return Err(ApiError::new(400, "InvalidSpotStrategy", "Unknown SpotStrategy.")),
        }
        let deletion_protection = call.is_true("DeletionProtection");
        if deletion_protection && spot != "NoSpot" {
            let message = "The charge type does not support deletion protection.";
            return Err(ApiError::new(403, "InvalidChargeType.ValueNotSupported", message));
        }
        user_data(call)?;
        Ok(LaunchRequest {
            amount,
            min_amount,
            all_or_nothing: call.get("MinAmount").is_none(),
            instance_type,
            image,
            zone: network.zone.clone(),
            vswitch,
            security_groups,
            name: call.get("InstanceName").map(str::to_owned),
            spot,
            deletion_protection,
            tags: tags(call)?,
        })
    }

    fn place(&self) -> String {
        format!("{}/{}", self.zone, self.instance_type)
    }

    /// How many can be had now; an error when that is too few.
    fn available(&self, state: &State, call: &Call<'_>) -> Result<u32, ApiError> {
        let no_stock = || {
            let message = "The requested resource is sold out in the specified zone; try other types \
                           of resources or other regions and zones.";
            ApiError::new(403, "OperationDenied.NoStock", message)
        };
        let fault = call.fault.map(|fault| fault.kind);
        if fault == Some(FaultKind::SoldOut) || state.lost_zones.contains(&self.zone) {
            return Err(no_stock());
        }
        if fault == Some(FaultKind::NoBalance) {
            let message = "Your account does not have enough balance.";
            return Err(ApiError::new(403, "InvalidAccountStatus.NotEnoughBalance", message));
        }
        let quota = state.world.instance_quota as usize;
        if state.existing_count() + self.amount as usize > quota {
            let message = "The maximum number of Pay-As-You-Go instances is exceeded.";
            return Err(ApiError::new(400, "QuotaExceed.AfterpayInstance", message));
        }
        if fault == Some(FaultKind::QuotaExceeded) {
            let message = "The number of the specified ECS instances has exceeded the quota of \
                           the specified instance type.";
            return Err(ApiError::new(403, "QuotaExceed.ElasticQuota", message));
        }
        let ips = state.world.vswitches.get(&self.vswitch).map_or(0, |vswitch| vswitch.ips);
        if ips < self.min_amount {
            let message = "The number of private IP addresses in the vSwitch is not sufficient.";
            return Err(ApiError::new(403, "QuotaExceeded.PrivateIpAddress", message));
        }
        let stock = state.world.stock.get(&self.place()).copied().unwrap_or(u32::MAX);
        let wanted = if self.all_or_nothing { self.amount } else { self.min_amount };
        if stock < wanted {
            return Err(no_stock());
        }
        let amount = match fault {
            Some(FaultKind::PartialLaunch) => self.amount.div_ceil(2).max(self.min_amount),
            _ => self.amount,
        };
        Ok(amount.min(stock).min(ips))
    }

    fn create(&self, state: &mut State, call: &Call<'_>, n: u32) -> String {
        let id = state.fresh_id();
        let now = state.now();
        let fault = |kind| call.fault.filter(|fault| fault.kind == kind);
        let number = state.instances.len();
        state.instances.push(Machine {
            id: id.clone(),
            name: self.name.clone().unwrap_or_else(|| id.clone()),
            zone: self.zone.clone(),
            instance_type: self.instance_type.clone(),
            image: self.image.clone(),
            vswitch: self.vswitch.clone(),
            security_groups: self.security_groups.clone(),
            ip: format!(
                "{}.16.{}.{}",
                if state.world.loopback { 127 } else { 172 },
                (number / 250) % 250,
                number % 250 + 1,
            ),
            spot: self.spot.clone(),
            deletion_protection: self.deletion_protection,
            tags: self.tags.iter().cloned().collect(),
            created_at: now,
            visible_at: clock::after(now, state.world.listing_lag.0),
            tags_visible_at: clock::after(
                now,
                state.world.tag_lag.0.max(state.world.listing_lag.0),
            ),
            never_boots: fault(FaultKind::NeverBoots).is_some(),
            // Only the first one: a whole batch rarely fails together.
            is_reclaimed: false,
            vanishes_at: fault(FaultKind::Vanishes)
                .filter(|_| n == 0)
                .map(|fault| clock::after(now, fault.delay.0)),
            power: Power::On { since: now },
        });
        id
    }
}

fn user_data(call: &Call<'_>) -> Result<(), ApiError> {
    /// Bytes, before Base64.
    const LARGEST: usize = 32 * 1024;
    let Some(data) = call.get("UserData") else { return Ok(()) };
    match STANDARD.decode(data) {
        Ok(raw) if raw.len() <= LARGEST => Ok(()),
        Ok(_) => Err(ApiError::new(400, "InvalidUserData.SizeExceeded", "More than 32 KB.")),
        Err(_) => Err(ApiError::new(400, "InvalidUserData.Base64FormatInvalid", "Not Base64.")),
    }
}

fn tags(call: &Call<'_>) -> Result<Vec<(String, String)>, ApiError> {
    let tags = call.tags();
    if tags.len() > 20 {
        return Err(ApiError::new(400, "InvalidTagCount", "More than 20 tags."));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (key, value) in &tags {
        let reserved = key.starts_with("aliyun") || key.starts_with("acs:");
        if key.is_empty() || key.chars().count() > 128 || reserved || key.contains("://") {
            return Err(ApiError::new(400, "InvalidTagKey.Malformed", "The tag key is not valid."));
        }
        if value.as_ref().is_some_and(|value| value.chars().count() > 128) {
            return Err(ApiError::new(400, "InvalidTagValue.Malformed", "The value is too long."));
        }
        if !seen.insert(key) {
            return Err(ApiError::new(400, "Duplicate.TagKey", "A tag key is given twice."));
        }
    }
    Ok(tags.into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect())
}
