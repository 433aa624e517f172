//! From the provider's error codes to what to do about them and what they are about: one table.
//!
//! Codes are matched whole first, then by family. HTTP statuses are not used, since the vendor
//! answers one code with different statuses; only a code that neither knows falls back to them.

mod table;

use cloud::{Class, Concerns};

use table::{CODES, PREFIXES};

/// The token was used for a request with other parameters.
const TOKEN_MISMATCH: &[&str] =
    &["IdempotentParameterMismatch", "InvalidIdempotenceParameter.Mismatch"];

/// The class that the table or a family gives `code`. Case-insensitive "throttl" anywhere counts as
/// throttling: the vendor keeps adding spellings.
fn described(code: &str) -> Option<(Class, Concerns)> {
    if let Some((_, class, concerns)) = CODES.iter().find(|(known, ..)| *known == code) {
        return Some((*class, *concerns));
    }
    if code.to_ascii_lowercase().contains("throttl") {
        return Some((Class::Throttled { retry_after: None }, Concerns::Moment));
    }
    let family = PREFIXES.iter().find(|(prefix, ..)| code.starts_with(prefix));
    family.map(|(_, class, concerns)| (*class, *concerns))
}

/// The class of `code`, if the table or a family knows it.
#[must_use]
pub fn is_known(code: &str) -> Option<Class> {
    described(code).map(|(class, _)| class)
}

/// The part that a launch refused with `code` would have to change.
#[must_use]
pub fn concerns(code: &str) -> Concerns {
    described(code).map_or(Concerns::Unknown, |(_, concerns)| concerns)
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
    fn a_refused_launch_is_about_what_its_code_names() {
        for (code, about) in [
            ("OperationDenied.NoStock", Concerns::Place),
            ("QuotaExceed.ElasticQuota", Concerns::Place),
            ("InstanceType.Offline", Concerns::InstanceType),
            ("InvalidVSwitchId.NotFound", Concerns::VSwitch),
            ("QuotaExceeded.PrivateIpAddress", Concerns::VSwitch),
            ("IncorrectVSwitchStatus", Concerns::VSwitch),
            ("InvalidSystemDiskCategory.ValueNotSupported", Concerns::Fit),
            ("ImageNotSupportInstanceType", Concerns::Fit),
            ("Forbidden.RAM", Concerns::Fit),
            ("SecurityGroupInstanceLimitExceed", Concerns::Spec),
            ("InvalidUser.PassRoleForbidden", Concerns::Spec),
            ("InvalidImageId.NotFound", Concerns::Spec),
            ("InvalidSecurityGroupId.NotFound", Concerns::Spec),
            ("InvalidKeyPairName.NotFound", Concerns::Spec),
            ("QuotaExceed.AfterpayInstance", Concerns::Account),
            ("InvalidAccountStatus.NotEnoughBalance", Concerns::Account),
            ("InvalidAccessKeyId.Inactive", Concerns::Account),
            ("Forbidden.RegionId", Concerns::Account),
            ("Throttling.Resource", Concerns::Moment),
            ("LastTokenProcessing", Concerns::Moment),
            ("Brand.New", Concerns::Unknown),
        ] {
            assert_eq!(concerns(code), about, "{code}");
        }
    }

    #[test]
    fn no_row_of_the_table_repeats_another() {
        let mut codes: Vec<&str> = CODES.iter().map(|(code, ..)| *code).collect();
        codes.sort_unstable();
        let before = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), before);
    }

    #[test]
    fn an_unknown_code_is_classed_by_its_status() {
        assert_eq!(classify("Brand.New", 400, false), Class::Permanent);
        assert_eq!(classify("Brand.New", 503, true), Class::Ambiguous);
        assert_eq!(classify("Brand.New", 403, true), Class::Auth);
    }
}
