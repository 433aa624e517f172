//! The public regions of the vendor, to recognise a slip in the name of one.
//!
//! New regions open: a name that is not here is doubted, and never refused.

use super::suggest;

/// The vendor's public, finance and government regions.
const KNOWN: [&str; 37] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ap-southeast-3",
    "ap-southeast-5",
    "ap-southeast-6",
    "ap-southeast-7",
    "cn-beijing",
    "cn-beijing-finance-1",
    "cn-chengdu",
    "cn-fuzhou",
    "cn-guangzhou",
    "cn-hangzhou",
    "cn-hangzhou-finance",
    "cn-heyuan",
    "cn-hongkong",
    "cn-huhehaote",
    "cn-nanjing",
    "cn-north-2-gov-1",
    "cn-qingdao",
    "cn-shanghai",
    "cn-shanghai-finance-1",
    "cn-shenzhen",
    "cn-shenzhen-finance-1",
    "cn-wuhan-lr",
    "cn-wulanchabu",
    "cn-zhangjiakou",
    "cn-zhengzhou-jva",
    "eu-central-1",
    "eu-west-1",
    "me-central-1",
    "me-east-1",
    "na-south-1",
    "us-east-1",
    "us-west-1",
];

/// The way to put `region` right, if it is no known region.
pub(super) fn doubt(region: &str) -> Option<String> {
    if KNOWN.contains(&region) {
        return None;
    }
    // A zone is a few letters from its region, and from regions beside it.
    let meant = of_zone(region).or_else(|| suggest::nearest(region, KNOWN));
    Some(match meant {
        Some(meant) => format!(
            "did you mean `{meant}`? A region that is newer than this program works all the same"
        ),
        None => "see whether the vendor's console spells it so; a region that is newer than this \
                 program works all the same"
            .to_owned(),
    })
}

/// The region of a zone such as `cn-hangzhou-h` or `us-west-1a`, where `text` is the name of one.
pub(super) fn of_zone(text: &str) -> Option<&'static str> {
    let region = text.strip_suffix(|c: char| c.is_ascii_lowercase())?;
    let region = region.strip_suffix('-').unwrap_or(region);
    KNOWN.into_iter().find(|known| *known == region)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_is_no_region_and_a_region_no_zone() {
        for (text, region) in [
            ("cn-hangzhou-h", Some("cn-hangzhou")),
            ("us-west-1a", Some("us-west-1")),
            ("ap-southeast-5-b", Some("ap-southeast-5")),
            ("cn-hangzhou", None),
            ("cn-nowhere-h", None),
            ("vsw-bp1h", None),
            ("", None),
        ] {
            assert_eq!(of_zone(text), region, "{text}");
        }
        assert!(KNOWN.iter().all(|known| of_zone(known).is_none()));
    }

    #[test]
    fn an_unknown_region_is_doubted_and_the_nearest_is_named() {
        assert!(KNOWN.iter().all(|known| doubt(known).is_none()));
        for (region, meant) in [
            ("cn-hangzou", "did you mean `cn-hangzhou`?"),
            ("cn-hangzhou-h", "did you mean `cn-hangzhou`?"),
            ("cn_shanghai", "did you mean `cn-shanghai`?"),
            ("xy-elsewhere-12", "see whether the vendor's console"),
        ] {
            let hint = doubt(region).expect("a doubt");
            assert!(hint.starts_with(meant), "{region}: {hint}");
        }
    }
}
