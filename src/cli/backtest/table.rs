//! The result in a terminal, 80 columns wide.

use super::{Entry, Report, output};
use crate::cli::output::wrap;
use crate::model::Span;

/// The longest name that is shown in full.
const NAME_CHARS: usize = 22;

pub(super) fn print(report: &Report) {
    head(report);
    output::line("");
    costs(report);
    output::line("");
    quality(report);
}

/// `30.0 days`, or `36.5 hours`.
fn length(days: f64) -> String {
    if days < 2.0 { format!("{:.1} hours", days * 24.0) } else { format!("{days:.1} days") }
}

fn head(report: &Report) {
    let Report { trace, days, capacity, demand_mean, demand_max, .. } = report;
    let text = format!(
        "{trace}: {}, demand {demand_mean:.1} instances of {capacity} on average, \
         {demand_max} at most; boot {}, lag {}, window {}",
        length(*days),
        Span::secs(report.boot_secs),
        Span::secs(report.lag_secs),
        Span::secs(report.window_secs),
    );
    for line in wrap(&text, 80) {
        output::line(&line);
    }
    for remark in &report.remarks {
        for line in wrap(&format!("note: {remark}"), 80) {
            output::line(&line);
        }
    }
}

fn costs(report: &Report) {
    let money = report.policies.iter().any(|entry| entry.money.is_some());
    let last = if money { "      MONEY" } else { "" };
    output::line(&format!(
        "{:<NAME_CHARS$} {:>6} {:>6} {:>6} {:>10} {:>9}{last}",
        "POLICY", "J10", "J100", "COST", "INST-HOURS", "ACTIONS/D"
    ));
    for entry in &report.policies {
        let score = &entry.score;
        let money = entry.money.map_or(String::new(), |money| format!(" {money:>10.2}"));
        output::line(&format!(
            "{:<NAME_CHARS$} {:>6.2} {:>6.2} {:>6.2} {:>10.0} {:>9.1}{money}",
            name(entry),
            score.j10,
            score.j100,
            score.cost,
            score.instance_hours,
            score.actions_a_day,
        ));
    }
}

fn quality(report: &Report) {
    output::line(&format!(
        "{:<NAME_CHARS$} {:>9} {:>9} {:>7} {:>7} {:>16}",
        "POLICY", "THETA_U %", "THETA_O %", "TAU_U %", "TAU_O %", "LONGEST SHORTAGE"
    ));
    for entry in &report.policies {
        let score = &entry.score;
        let longest = Span::secs(score.longest_shortage_secs).to_string();
        output::line(&format!(
            "{:<NAME_CHARS$} {:>9.3} {:>9.1} {:>7.2} {:>7.1} {longest:>16}",
            name(entry),
            score.theta_u,
            score.theta_o,
            score.tau_u,
            score.tau_o,
        ));
    }
}

fn name(entry: &Entry) -> String {
    if entry.name.chars().count() <= NAME_CHARS {
        return entry.name.clone();
    }
    // The end of a path says more than its beginning.
    let skipped = entry.name.chars().count() - (NAME_CHARS - 1);
    std::iter::once('…').chain(entry.name.chars().skip(skipped)).collect()
}
