//! The parameter names that each action knows. The real API ignores others without a word, which
//! hides a client's spelling mistakes; here they are recorded.

/// A line per action: its name, then the names of its parameters; `.N` stands for 1, 2, ….
const NAMES: &str = include_str!("names.txt");

/// Parameters that every V1 request may have.
const COMMON: &[&str] = &[
    "AccessKeyId",
    "Action",
    "Format",
    "RegionId",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureNonce",
    "SignatureType",
    "SignatureVersion",
    "Timestamp",
    "Version",
];

/// Whether `parameter` is a name that `action` knows. Actions that are not listed know all.
pub(crate) fn knows(action: &str, parameter: &str) -> bool {
    if COMMON.contains(&parameter) {
        return true;
    }
    let line = NAMES.lines().find(|line| line.split(' ').next() == Some(action));
    let Some(line) = line else { return true };
    let general: Vec<&str> = parameter
        .split('.')
        .map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "N" } else { part })
        .collect();
    let general = general.join(".");
    // DescribeInstances lists Filter.1.Key and so on one by one.
    line.split(' ').skip(1).any(|name| name == general || name == parameter)
}

#[cfg(test)]
mod tests {
    use super::knows;

    #[test]
    fn names_with_numbers_are_known_and_misspelt_ones_are_not() {
        assert!(knows("RunInstances", "Tag.12.Key"));
        assert!(knows("RunInstances", "DataDisk.1.PerformanceLevel"));
        assert!(knows("DescribeInstances", "Filter.1.Key"));
        assert!(!knows("RunInstances", "DataDisk.1..PerformanceLevel"));
        assert!(!knows("RunInstances", "SecurityGroupIDs.1"));
        assert!(!knows("DeleteInstances", "BatchOptimization"));
    }
}
