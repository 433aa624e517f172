//! From the provider's error codes to classes: one table.
//!
//! Codes are matched whole first, then by family. HTTP statuses are not used, since the vendor
//! answers one code with different statuses; only a code that neither knows falls back to them.

use cloud::Class;

/// Codes with a meaning of their own.
const CODES: &[(&str, Class)] = &[
    // Asking too often is refused before anything happens.
    ("Throttling", Class::Throttled { retry_after: None }),
    ("Rejected.Throttling", Class::Throttled { retry_after: None }),
    // What a dry run says of a request that would succeed.
    ("DryRunOperation", Class::Permanent),
    ("DRYRUN.SUCCESS", Class::Permanent),
    // The provider failed. A write may have happened: see `classify`.
    ("InternalError", Class::Transient),
    ("Mayi.InternalError", Class::Transient),
    ("UnknownError", Class::Transient),
    ("ServiceUnavailable", Class::Transient),
    ("ServiceUnavailable.RegionMaintaining", Class::Transient),
    // A retransmission below us: the first copy may have been accepted.
    ("SignatureNonceUsed", Class::Transient),
    // Sold out, or not sold here: the next type or zone may do.
    ("OperationDenied.NoStock", Class::NoCapacity),
    ("Zone.NotOnSale", Class::NoCapacity),
    ("Zone.NotOpen", Class::NoCapacity),
    ("OperationDenied.ZoneNotAllowed", Class::NoCapacity),
    ("OperationDenied.CloudSSDNotSupported", Class::NoCapacity),
    ("OperationDenied.ZoneSystemCategoryNotMatch", Class::NoCapacity),
    ("OperationDenied.PaygNotAvailable", Class::NoCapacity),
    ("OperationDenied.ResourceControl", Class::NoCapacity),
    ("OperationDenied.NoVlan", Class::NoCapacity),
    ("InvalidInstanceType.ZoneNotSupported", Class::NoCapacity),
    ("InvalidInstanceType.ValueNotSupported", Class::NoCapacity),
    ("InvalidInstanceType.NotSupported", Class::NoCapacity),
    ("InvalidResourceType.NotSupported", Class::NoCapacity),
    ("InstanceType.Offline", Class::NoCapacity),
    ("ResourceNotAvailable", Class::NoCapacity),
    ("InvalidVpcZone.NotSupported", Class::NoCapacity),
    ("InvalidZoneId.NotSupportShareEncryptedImage", Class::NoCapacity),
    ("QuotaExceeded.PrivateIpAddress", Class::NoCapacity),
    ("InvalidVSwitchId.IpNotEnough", Class::NoCapacity),
    ("NodeControllerUnavailable", Class::NoCapacity),
    ("InvalidSpotPriceLimit.LowerThanPublicPrice", Class::NoCapacity),
    ("OperationDenied.SpotPriceLowerThanPublicPrice", Class::NoCapacity),
    // Limits and money: a person must act.
    ("OperationDenied.QuotaExceed", Class::Quota),
    ("SecurityGroupInstanceLimitExceed", Class::Quota),
    ("JoinedGroupLimitExceed", Class::Quota),
    ("InsufficientBalance", Class::Quota),
    ("Account.Arrearage", Class::Quota),
    ("InvalidAccountStatus", Class::Quota),
    ("InvalidPayMethod", Class::Quota),
    ("PaymentMethodNotFound", Class::Quota),
    ("RealNameAuthenticationError", Class::Quota),
    ("Forbidden.RiskControl", Class::Quota),
    ("SecurityRisk.3DVerification", Class::Quota),
    ("InstanceLockedForSecurity", Class::Quota),
    ("InstanceExpiredOrInArrears", Class::Quota),
    ("InstanceExpired", Class::Quota),
    ("InvalidInstance.UnPaidOrder", Class::Quota),
    // Who asks, and whether that is permitted.
    ("SignatureDoesNotMatch", Class::Auth),
    ("IncompleteSignature", Class::Auth),
    ("InvalidSignatureMethod", Class::Auth),
    ("IllegalTimestamp", Class::Auth),
    ("NoEnabledAccessKey", Class::Auth),
    ("MissingSecurityToken", Class::Auth),
    ("Forbbiden", Class::Auth), // the vendor's spelling
    ("NoPermission", Class::Auth),
    ("InvalidUser.PassRoleForbidden", Class::Auth),
    ("RegionUnauthorized", Class::Auth),
    ("UserNotInTheWhiteList", Class::Auth),
    // It does not exist (any more).
    ("InvalidInstanceId.NotFound", Class::Gone),
    ("InvalidInstanceIds.NotFound", Class::Gone),
    ("Forbidden.InstanceNotFound", Class::Gone),
    // Not in this state.
    ("IncorrectInstanceStatus", Class::Conflict),
    ("InstanceNotReady", Class::Conflict),
    ("OperationConflict", Class::Conflict),
    ("Operation.Conflict", Class::Conflict),
    ("InvalidOperation.Conflict", Class::Conflict),
    ("InvalidOperation.DeletionProtection", Class::Conflict),
    ("LastOrderProcessing", Class::Conflict),
    ("LastRequestProcessing", Class::Conflict),
    ("IncorrectVSwitchStatus", Class::Conflict),
    ("IncorrectVpcStatus", Class::Conflict),
    ("IncorrectDefaultVpcStatus", Class::Conflict),
    ("ChargeTypeViolation", Class::Permanent),
    // The first request with this token is still under way, or had other parameters: only a look
    // tells what it did.
    ("LastTokenProcessing", Class::Ambiguous),
    ("Idempotence.Processing", Class::Ambiguous),
    ("IdempotenceProcessing", Class::Ambiguous),
    ("ProcessingSameRequest", Class::Ambiguous),
    ("OperationDenied.CreatingConflict", Class::Ambiguous),
    ("IdempotentParameterMismatch", Class::Ambiguous),
    ("InvalidIdempotenceParameter.Mismatch", Class::Ambiguous),
    // What the configuration asks for cannot be.
    ("OperationDenied", Class::Permanent),
    ("CategoryNotSupported", Class::Permanent),
    ("CategoryViolation", Class::Permanent),
    ("HOSTNAME_ILLEGAL", Class::Permanent),
    ("IoOptimized.NotSupported", Class::Permanent),
    ("ResourcesNotInSameZone", Class::Permanent),
    ("VpcNotFound", Class::Permanent),
    ("InvalidAction.NotFound", Class::Permanent),
];

/// The token was used for a request with other parameters.
const TOKEN_MISMATCH: &[&str] =
    &["IdempotentParameterMismatch", "InvalidIdempotenceParameter.Mismatch"];

/// Families, by a prefix of the code; the first that fits counts.
const PREFIXES: &[(&str, Class)] = &[
    ("QuotaExceed", Class::Quota), // also QuotaExceeded.…
    ("InvalidAccountStatus.", Class::Quota),
    ("InvalidAccessKeyId", Class::Auth),
    ("InvalidSecurityToken", Class::Auth),
    ("InvalidTimeStamp", Class::Auth),
    ("Forbidden", Class::Auth),
    ("NoPermission.", Class::Auth),
    ("IncorrectInstanceStatus.", Class::Conflict),
    ("DependencyViolation.SLBConfiguring", Class::Conflict),
    ("DependencyViolation.RouteEntry", Class::Conflict),
    // A request that names something wrong, unsupported or missing.
    ("Invalid", Class::Permanent),
    ("MissingPara", Class::Permanent), // the vendor also spells it MissingParamter
    ("Incorrect", Class::Permanent),
    ("OperationDenied.", Class::Permanent),
    ("DependencyViolation.", Class::Permanent),
    ("NumberExceed.", Class::Permanent),
    ("Duplicate.", Class::Permanent),
    ("ChargeTypeViolation.", Class::Permanent),
    ("DedicatedHostType.", Class::Permanent),
    ("DefaultVswitch.", Class::Permanent),
    ("DeleteWithInstance.", Class::Permanent),
    ("DeploymentSet.", Class::Permanent),
    ("DryRun.", Class::Permanent),
    ("Image", Class::Permanent),
    ("InstanceDisk", Class::Permanent),
    ("MaxEniIpv6IpsCountExceeded", Class::Permanent),
];

/// The class of `code`, if the table or a family knows it. Case-insensitive "throttl" anywhere
/// counts as throttling: the vendor keeps adding spellings.
#[must_use]
pub fn is_known(code: &str) -> Option<Class> {
    if let Some((_, class)) = CODES.iter().find(|(known, _)| *known == code) {
        return Some(*class);
    }
    if code.to_ascii_lowercase().contains("throttl") {
        return Some(Class::Throttled { retry_after: None });
    }
    PREFIXES.iter().find(|(prefix, _)| code.starts_with(prefix)).map(|(_, class)| *class)
}

/// The class of a refusal. A failure of the provider itself leaves a write ambiguous: it may have
/// happened before the failure. A read is never ambiguous.
#[must_use]
pub fn classify(code: &str, status: u16, is_write: bool) -> Class {
    let class = is_known(code).unwrap_or_else(|| {
        let class = by_status(status);
        tracing::warn!(code, status, %class, "unknown error code `{code}`: classed by its HTTP status");
        class
    });
    match class {
        Class::Transient if is_write => Class::Ambiguous,
        // A dry run carries the launch's token, but has no effect that could be in doubt.
        Class::Ambiguous if !is_write => Class::Transient,
        class => class,
    }
}

/// Whether the code says that its request's client token was used for something else.
#[must_use]
pub(crate) fn is_token_mismatch(code: &str) -> bool {
    TOKEN_MISMATCH.contains(&code)
}

/// The class of an answer without a (known) code.
#[must_use]
pub(crate) fn by_status(status: u16) -> Class {
    match status {
        429 => Class::Throttled { retry_after: None },
        401 | 403 | 407 => Class::Auth,
        408 | 425 => Class::Transient,
        400..=499 => Class::Permanent,
        // 200 with an unusable body, 5xx, and what no specification names.
        _ => Class::Transient,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_code_of_run_instances_is_classed() {
        let codes = include_str!("../tests/run_instances_codes.txt");
        let unknown: Vec<&str> = codes.lines().filter(|code| is_known(code).is_none()).collect();
        assert!(codes.lines().count() > 200);
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn codes_have_the_class_that_says_what_to_do() {
        let throttled = Class::Throttled { retry_after: None };
        for (code, read, write) in [
            ("Throttling.User", throttled, throttled),
            ("Throttling.ConcurrentLimitExceeded", throttled, throttled),
            ("Some.NewThrottlingCode", throttled, throttled),
            ("InternalError", Class::Transient, Class::Ambiguous),
            ("ServiceUnavailable", Class::Transient, Class::Ambiguous),
            ("OperationDenied.NoStock", Class::NoCapacity, Class::NoCapacity),
            ("QuotaExceeded.PrivateIpAddress", Class::NoCapacity, Class::NoCapacity),
            ("QuotaExceed.ElasticQuota", Class::Quota, Class::Quota),
            ("InvalidAccountStatus.NotEnoughBalance", Class::Quota, Class::Quota),
            ("InvalidAccessKeyId.NotFound", Class::Auth, Class::Auth),
            ("Forbidden.RAM", Class::Auth, Class::Auth),
            ("InvalidInstanceId.NotFound", Class::Gone, Class::Gone),
            ("IncorrectInstanceStatus.Initializing", Class::Conflict, Class::Conflict),
            ("IdempotentParameterMismatch", Class::Transient, Class::Ambiguous),
            ("LastTokenProcessing", Class::Transient, Class::Ambiguous),
            ("InvalidVSwitchId.NotFound", Class::Permanent, Class::Permanent),
        ] {
            assert_eq!(classify(code, 400, false), read, "{code}");
            assert_eq!(classify(code, 400, true), write, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_is_classed_by_its_status() {
        assert_eq!(classify("Brand.New", 400, false), Class::Permanent);
        assert_eq!(classify("Brand.New", 503, true), Class::Ambiguous);
        assert_eq!(classify("Brand.New", 403, true), Class::Auth);
    }
}
