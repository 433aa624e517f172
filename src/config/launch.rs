//! `[fleet.NAME.launch]`: what a new instance is.

use cloud::{LaunchSpec, Spot, SystemDisk, UserData};

use super::ids;
use super::secret::{contents, path};
use super::table::Table;
use super::tags;
use super::value::{Value, count, flag, name, number, text, word};
use crate::model::{LaunchTemplate, Spread};

/// The vendor's limit on the raw script.
const USER_DATA_BYTES_MAX: usize = 32 * 1024;
/// The vendor's largest system disk.
const DISK_GIB_MAX: u32 = 2048;
/// Mbit/s: the vendor's limit.
const BANDWIDTH_MAX: u32 = 100;

const DISK_CATEGORIES: [(&str, &str); 6] = [
    ("cloud_essd", "cloud_essd"),
    ("cloud_auto", "cloud_auto"),
    ("cloud_essd_entry", "cloud_essd_entry"),
    ("cloud_efficiency", "cloud_efficiency"),
    ("cloud_ssd", "cloud_ssd"),
    ("cloud", "cloud"),
];
const SPREADS: [(&str, Spread); 2] =
    [("in-order", Spread::InOrder), ("balanced", Spread::Balanced)];
const ESSD: &str = "cloud_essd";
const PERFORMANCE_LEVELS: [(&str, &str); 4] =
    [("PL0", "PL0"), ("PL1", "PL1"), ("PL2", "PL2"), ("PL3", "PL3")];

pub(super) fn read(table: &Table<'_>) -> Option<LaunchTemplate> {
    let image_id = table.required("image_id", "\"m-bp1example\"", ids::one("m-"));
    let types = table.required("instance_types", "[\"ecs.c7.large\"]", ids::some("ecs."));
    let vswitches = table.required("vswitches", "[\"vsw-bp1example\"]", ids::some("vsw-"));
    let groups = table.required("security_group_ids", "[\"sg-bp1example\"]", ids::some("sg-"));
    // The vendor's lengths, of names and host names.
    let instance_name = table.optional("instance_name", name(2..=128));
    let host_name = table.optional("host_name", name(2..=64));
    let key_pair_name = table.optional("key_pair_name", word);
    let ram_role_name = table.optional("ram_role_name", word);
    let resource_group_id = table.optional("resource_group_id", word);
    let user_data = user_data(table);
    let system_disk = table.table("system_disk", system_disk);
    let bandwidth = table.optional("internet_max_bandwidth_out", count(0..=BANDWIDTH_MAX));
    let spot = table.table("spot", spot);
    let deletion_protection = table.or("deletion_protection", false, flag);
    let tags = table.optional("tags", tags::read).unwrap_or_default();
    let spread = table.or("spread", Spread::InOrder, |value| value.one_of(&SPREADS));
    if deletion_protection && table.has("spot") {
        table.problem_at(
            "deletion_protection",
            "`deletion_protection` and `spot` are both set".to_owned(),
            "the vendor refuses to protect spot instances: remove one",
        );
    }
    Some(LaunchTemplate {
        spec: LaunchSpec {
            image_id: image_id?,
            security_group_ids: groups?,
            instance_name,
            host_name,
            key_pair_name,
            ram_role_name,
            resource_group_id,
            user_data,
            system_disk,
            internet_max_bandwidth_out: bandwidth,
            spot,
            deletion_protection,
            tags,
        },
        instance_types: types?,
        vswitches: vswitches?,
        spread,
    })
}

/// The start script, inline or from a file. It is never repeated in a problem.
fn user_data(table: &Table<'_>) -> Option<UserData> {
    let inline = table.optional("user_data", |value| script(value, text(value)?.to_owned()));
    let from_file = table.optional("user_data_file", |value| {
        // One byte more, so that `script` sees what is too long and says so in its own words.
        let text = contents(value, &path(value)?, USER_DATA_BYTES_MAX + 1)?;
        script(value, text)
    });
    if let Some(value) = table.get("user_data") {
        table.cx.holds("user_data", value.at());
    }
    if table.has("user_data") && table.has("user_data_file") {
        table.problem_at(
            "user_data_file",
            "`user_data` and `user_data_file` are both set".to_owned(),
            "remove one",
        );
    }
    inline.or(from_file)
}

fn script(value: &Value<'_>, text: String) -> Option<UserData> {
    if text.len() > USER_DATA_BYTES_MAX {
        return value.problem(
            format!("the start script of `{}` is larger than 32 KiB", value.key),
            "the vendor takes no more: let a short script fetch the rest",
        );
    }
    Some(UserData::new(text))
}

fn system_disk(table: &Table<'_>) -> Option<SystemDisk> {
    let category =
        table.required("category", "\"cloud_essd\"", |value| value.one_of(&DISK_CATEGORIES));
    let size_gib = table.optional("size_gib", count(1..=DISK_GIB_MAX));
    let level = table.optional("performance_level", |value| value.one_of(&PERFORMANCE_LEVELS));
    if table.has("performance_level") && category.is_some_and(|category| category != ESSD) {
        table.problem_at(
            "performance_level",
            format!("`performance_level` is set for a `{}` disk", category.unwrap_or_default()),
            format!("remove it: only `{ESSD}` disks have levels"),
        );
    }
    Some(SystemDisk {
        category: category?.to_owned(),
        size_gib,
        performance_level: level.map(str::to_owned),
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    AsPriceGo,
    PriceLimit,
}

const STRATEGIES: [(&str, Strategy); 2] =
    [("as-price-go", Strategy::AsPriceGo), ("price-limit", Strategy::PriceLimit)];

fn spot(table: &Table<'_>) -> Option<Spot> {
    let strategy = table.or("strategy", Strategy::AsPriceGo, |value| value.one_of(&STRATEGIES));
    // From the vendor's smallest price to more than any machine costs an hour.
    let limit = table.optional("price_limit", number(0.001..=100_000.0));
    match strategy {
        Strategy::AsPriceGo if table.has("price_limit") => {
            table.problem_at(
                "price_limit",
                "`price_limit` is set without strategy = \"price-limit\"".to_owned(),
                "add strategy = \"price-limit\", or remove the limit",
            );
            None
        }
        Strategy::AsPriceGo => Some(Spot::AsPriceGo),
        Strategy::PriceLimit if !table.has("price_limit") => {
            table.problem_at(
                "strategy",
                "strategy = \"price-limit\" needs a `price_limit`".to_owned(),
                "add `price_limit = 0.35` (per hour, in the account's currency)",
            );
            None
        }
        Strategy::PriceLimit => limit.map(Spot::PriceLimit),
    }
}
