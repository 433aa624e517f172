//! The status as lines of a terminal. Pure.

use cloud::Timestamp;
use serde::Serialize;

use super::Status;
use crate::api::shape::{AlertView, FleetView, SignalView, WantsView};
use crate::cli::output::wrap;
use crate::cli::paint::{Paint, Painted, plain};
use crate::model::{number, plural};

/// Where the status comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "snake_case")]
pub(super) enum Source {
    Daemon,
    /// No daemon answered.
    Journal {
        why: String,
    },
}

/// Longer names are cut; --json has the whole ones.
const NAME_MOST: usize = 12;
/// Values of a signal in its line.
const SPARKS: usize = 4;

/// The whole picture in lines of at most `columns` characters; `flags` are the user's own, for the
/// commands that are suggested.
pub(super) fn page(status: &Status, now: Timestamp, columns: usize, flags: &str) -> Vec<Painted> {
    let mut page = heading(status, columns);
    page.push(Vec::new());
    if status.fleets.is_empty() {
        page.push(plain("no fleet is configured: add [fleet.NAME] and restart the daemon"));
        return page;
    }
    page.extend(table(&status.fleets, now, columns));
    let mut remarks = Vec::new();
    for fleet in &status.fleets {
        remarks.extend(attention(fleet, now, columns, flags));
    }
    for fleet in &status.fleets {
        remarks.extend(holds(fleet, columns));
        remarks.extend(instructions(fleet, columns));
    }
    if !remarks.is_empty() {
        page.push(Vec::new());
        page.extend(remarks);
    }
    page
}

/// `fleetscaler 0.2.0 · acts for 3 of 3 fleets · journal ok · cloud ok 14 of 300/min`: calls.
fn heading(status: &Status, columns: usize) -> Vec<Painted> {
    let Some(daemon) = &status.daemon else {
        let Source::Journal { why } = &status.source else { return Vec::new() };
        let said = format!("{why}; what follows is from the journal");
        return wrap(&said, columns).into_iter().map(|line| vec![(Paint::Bad, line)]).collect();
    };
    let mut parts = vec![
        (Paint::Plain, format!("fleetscaler {}", daemon.version)),
        (
            Paint::Plain,
            format!("acts for {} of {}", daemon.acts_for_fleets, plural(daemon.fleets, "fleet"),),
        ),
    ];
    parts.push(match &daemon.journal_trouble {
        None => (Paint::Plain, "journal ok".to_owned()),
        Some(_) => (Paint::Bad, "journal away".to_owned()),
    });
    let calls: u64 = status.accounts.iter().map(|account| account.calls_last_minute).sum();
    let most: f64 = status.accounts.iter().filter_map(|account| account.calls_per_minute_max).sum();
    let blind = status.fleets.iter().filter(|fleet| fleet.trouble.is_some()).count();
    parts.push(match u32::try_from(blind) {
        Ok(0) => (Paint::Plain, format!("cloud ok {calls} of {}/min", number(most.round()))),
        blind => {
            (Paint::Bad, format!("{} cannot tick", plural(blind.unwrap_or(u32::MAX), "fleet")))
        }
    });
    let mut lines: Vec<Painted> = vec![Vec::new()];
    let mut used = 0;
    for part in parts {
        let wide = part.1.chars().count();
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            used = wide;
            line.push(part);
        } else if used + 3 + wide <= columns {
            used += 3 + wide;
            line.extend([(Paint::Past, " · ".to_owned()), part]);
        } else {
            used = wide;
            lines.push(vec![part]);
        }
    }
    if let Some(why) = &daemon.journal_trouble {
        let said = wrap(&format!("nothing is changed: {why}"), columns);
        lines.extend(said.into_iter().map(|line| vec![(Paint::Bad, line)]));
    }
    lines
}

/// The cells of one fleet's line.
struct Row {
    name: String,
    serves: String,
    coming: String,
    going: String,
    wants: (Paint, String),
    bounds: String,
    signal: String,
    why: (Paint, String),
}

fn table(fleets: &[FleetView], now: Timestamp, columns: usize) -> Vec<Painted> {
    let rows: Vec<Row> = fleets.iter().map(|fleet| Row::of(fleet, now)).collect();
    let most = |least: usize, of: fn(&Row) -> &str| {
        rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(least)
    };
    let names = most(5, |row| &row.name);
    let wants = most(5, |row| &row.wants.1);
    let bounds = most(6, |row| &row.bounds);
    let signals = most(6, |row| &row.signal);
    let head = format!(
        "{:<names$} {:>6} {:>6} {:>5} {:>wants$} {:>bounds$} {:<signals$}  ",
        "FLEET", "SERVES", "COMING", "GOING", "WANTS", "BOUNDS", "SIGNAL",
    );
    let room = columns.saturating_sub(head.chars().count());
    let mut lines = vec![vec![(Paint::Past, format!("{head}WHY"))]];
    for row in rows {
        let Row { name, serves, coming, going, wants: (paint, asks), bounds: of, signal, why } =
            row;
        lines.push(vec![
            (Paint::Plain, format!("{name:<names$} ")),
            (Paint::Good, format!("{serves:>6} ")),
            (Paint::Waits, format!("{coming:>6} ")),
            (Paint::Past, format!("{going:>5} ")),
            (paint, format!("{asks:>wants$} ")),
            (Paint::Plain, format!("{of:>bounds$} {signal:<signals$}  ")),
            (why.0, cut(&why.1, room)),
        ]);
    }
    lines
}

impl Row {
    fn of(fleet: &FleetView, now: Timestamp) -> Row {
        let none = || "–".to_owned();
        let sizes = fleet.instances;
        let signed = |sign: char, count: u32| match count {
            0 => none(),
            count => format!("{sign}{count}"),
        };
        Row {
            name: cut(&fleet.fleet, NAME_MOST),
            serves: sizes.map_or_else(none, |sizes| sizes.serving.to_string()),
            coming: sizes.map_or_else(none, |sizes| {
                signed('+', sizes.requested + sizes.booting + sizes.warming_up)
            }),
            going: sizes.map_or_else(none, |sizes| signed('-', sizes.draining + sizes.leaving)),
            wants: match &fleet.wants {
                None => (Paint::Plain, none()),
                Some(wants) => match beyond(fleet, wants) {
                    Some(asked) => (Paint::Bad, format!("{}!{asked}", wants.desired_instances)),
                    None => (Paint::Plain, wants.desired_instances.to_string()),
                },
            },
            bounds: fleet.bounds.map_or_else(none, |bounds| {
                format!("{}..{}", bounds.min_instances, bounds.max_instances)
            }),
            signal: signal(fleet, now),
            why: why(fleet),
        }
    }
}

/// The size that it asks for beyond `max`, if it does.
fn beyond(fleet: &FleetView, wants: &WantsView) -> Option<u32> {
    let max = fleet.bounds?.max_instances;
    wants.asked_instances.filter(|asked| *asked > max && wants.desired_instances >= max)
}

/// `cpu 88.1 ▂▃▅▇ 12s`.
fn signal(fleet: &FleetView, now: Timestamp) -> String {
    let Some(signal) = fleet.signals.first() else { return "–".to_owned() };
    let name = cut(&signal.signal, 10);
    let Some(value) = signal.value else { return format!("{name} – missing") };
    let since = fleet.seen_at.map_or(0, |at| cloud::clock::age(now, at).as_secs());
    let age = short_age(since + signal.age_secs.unwrap_or(0));
    format!("{name} {} {} {age}", number(value), sparks(signal))
}

/// The newest values as a little picture; a gap is a blank.
fn sparks(signal: &SignalView) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values = &signal.recent_values;
    let values = &values[values.len().saturating_sub(SPARKS)..];
    let known = || values.iter().flatten().copied();
    let (least, most) = (known().fold(f64::MAX, f64::min), known().fold(f64::MIN, f64::max));
    let bar = |value: &Option<f64>| match value {
        None => ' ',
        // A signal that does not move is a line in the middle.
        Some(_) if most <= least => BARS[3],
        Some(value) => {
            let part = (value - least) / (most - least) * 7.0;
            let place = (0..8u8).find(|n| f64::from(*n) + 0.5 >= part).unwrap_or(7);
            BARS[usize::from(place)]
        }
    };
    values.iter().map(bar).collect()
}

fn why(fleet: &FleetView) -> (Paint, String) {
    if fleet.trouble.is_some() {
        return (Paint::Bad, "cannot tick, see below".to_owned());
    }
    if fleet.only_looks.is_some() {
        return (Paint::Bad, "only looks, see below".to_owned());
    }
    match fleet.acts.as_str() {
        "another_replica" => return (Paint::Past, "another replica acts".to_owned()),
        "nobody" => return (Paint::Waits, "no tick yet".to_owned()),
        _ => {}
    }
    let paint = match (&fleet.blocked_by, &fleet.headline) {
        (Some(_), _) => Paint::Waits,
        _ => Paint::Plain,
    };
    (paint, fleet.headline.clone().unwrap_or_default())
}

/// The lines that a person should read: what is wrong, since when, and where to look.
fn attention(fleet: &FleetView, now: Timestamp, columns: usize, flags: &str) -> Vec<Painted> {
    let mut said = Vec::new();
    if let Some(trouble) = &fleet.trouble {
        said.push(format!(
            "{} cannot tick since {}: {}",
            fleet.fleet,
            since(trouble.since, now),
            trouble.message
        ));
    }
    if let Some(why) = &fleet.only_looks {
        said.push(format!("{} is only looked at: {why}", fleet.fleet));
    }
    if let Some(wants) = &fleet.wants
        && let Some(asked) = beyond(fleet, wants)
    {
        said.push(format!("{} is at max and would want {asked}", fleet.fleet));
    }
    let told = |alert: &&AlertView| alert.code != "journal_unavailable";
    for alert in fleet.alerts.iter().filter(told) {
        let since = since(alert.since, now);
        said.push(format!("{}: {} ({}, since {since})", fleet.fleet, alert.message, alert.code));
    }
    let command = format!("fleetscaler why {}{flags}", fleet.fleet);
    let mut lines = Vec::new();
    for text in said {
        let parts = wrap(&text, columns.saturating_sub(2));
        let count = parts.len();
        for (n, part) in parts.into_iter().enumerate() {
            let mark = if n == 0 { "! " } else { "  " };
            let used = 2 + part.chars().count();
            let mut line = vec![(Paint::Bad, mark.to_owned()), (Paint::Plain, part)];
            // At the end of the line where there is room: where to look next.
            let room = columns.saturating_sub(used);
            if n + 1 == count && room >= command.chars().count() + 2 && command.chars().count() < 40
            {
                line.push((Paint::Past, format!("{command:>room$}")));
            }
            lines.push(line);
        }
    }
    lines
}

/// `batch: scale-in held until 13:00 by mei: "import runs"`.
fn holds(fleet: &FleetView, columns: usize) -> Vec<Painted> {
    let mut lines = Vec::new();
    for hold in &fleet.holds {
        let what = match hold.holds.as_str() {
            "scale_in" => "scale-in",
            "scale_out" => "scale-out",
            _ => "scaling",
        };
        let whose = match &hold.fleet {
            Some(_) => "",
            None => ", with all fleets",
        };
        let until = hold.until.format("%m-%d %H:%MZ");
        let text = format!(
            "{}: {what} held until {until} by {}{whose}: \"{}\"",
            fleet.fleet, hold.author, hold.reason
        );
        lines.extend(remark(&text, columns));
    }
    lines
}

/// `web: size 10 until 13:00 by mei: "launch event"`.
fn instructions(fleet: &FleetView, columns: usize) -> Vec<Painted> {
    let mut lines = Vec::new();
    for one in &fleet.instructions {
        let about = one.instance.as_ref().or(one.vswitch.as_ref());
        let what = match (about, one.min, one.max) {
            (Some(about), ..) => format!("{} {about}", one.kind),
            (None, Some(min), Some(max)) if min == max => format!("size {min}"),
            (None, None, None) => one.kind.clone(),
            (None, min, max) => {
                let min = min.map(|min| format!("at least {min}"));
                let max = max.map(|max| format!("at most {max}"));
                format!("size {}", min.into_iter().chain(max).collect::<Vec<_>>().join(", "))
            }
        };
        let until = one.until.format("%m-%d %H:%MZ");
        let text =
            format!("{}: {what} until {until} by {}: \"{}\"", fleet.fleet, one.author, one.reason);
        lines.extend(remark(&text, columns));
    }
    lines
}

/// A remark under the table, as many lines as it needs.
fn remark(text: &str, columns: usize) -> Vec<Painted> {
    let parts = wrap(text, columns.saturating_sub(4)).into_iter().enumerate();
    let line = |(n, part): (usize, String)| {
        let indent = if n == 0 { "  " } else { "    " };
        vec![(Paint::Waits, format!("{indent}{part}"))]
    };
    parts.map(line).collect()
}

/// `11:52Z (18 min)`.
fn since(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", at.format("%H:%MZ"), long_age(cloud::clock::age(now, at).as_secs()))
}

fn short_age(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs}s"),
        120..=7_199 => format!("{}m", secs / 60),
        7_200..=172_799 => format!("{}h", secs / 3_600),
        _ => format!("{}d", secs / 86_400),
    }
}

/// `12 s`, `18 min`, `3 h`.
pub(super) fn long_age(secs: u64) -> String {
    match secs {
        0..=119 => format!("{secs} s"),
        120..=7_199 => format!("{} min", secs / 60),
        7_200..=172_799 => format!("{} h", secs / 3_600),
        _ => format!("{} days", secs / 86_400),
    }
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests;
