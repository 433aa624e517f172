//! The cases: which script is played, and where its processes are killed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The story that the fleet goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// High load: from 1 instance to 3.
    Out,
    /// Then low load: from 3 to 2, deleted at once.
    In,
    /// Likewise, stopped first and deleted when it has stopped.
    StopIn,
    /// Likewise, drained first.
    DrainIn,
}

/// How a process ends before its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kill {
    /// By itself, when it comes to a point: `intend.after:1`.
    At(String),
    /// From outside, while it waits to repeat a call whose answer was lost.
    AnswerLost,
}

/// One story: each kill ends one process; the next one starts on what it left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) script: Script,
    pub(crate) kills: Vec<Kill>,
    /// Answers of the call that changes something are cut off after it had its effect: so many.
    pub(crate) lost: u32,
}

impl Script {
    pub(crate) fn terminate(self) -> &'static str {
        match self {
            Script::Out | Script::In | Script::DrainIn => "graceful",
            Script::StopIn => "stop-then-delete",
        }
    }

    /// How long an instance is drained, if it is.
    pub(crate) fn drain(self) -> &'static str {
        match self {
            Script::DrainIn => "[fleet.web.drain]\nwait = \"3s\"",
            Script::Out | Script::In | Script::StopIn => "",
        }
    }

    /// The pause after a scale-in. A drain takes its time, in which no second one may begin.
    pub(crate) fn pause(self) -> &'static str {
        match self {
            Script::DrainIn => "20s",
            Script::Out | Script::In | Script::StopIn => "4s",
        }
    }

    /// The call that decides.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Script::Out => "RunInstances",
            Script::In | Script::DrainIn => "DeleteInstances",
            Script::StopIn => "StopInstances",
        }
    }
}

impl Case {
    fn of(script: Script, kills: Vec<Kill>) -> Case {
        Case { script, kills, lost: 0 }
    }

    pub(crate) fn name(&self) -> String {
        let kills = self.kills.iter().map(|kill| match kill {
            Kill::At(point) => format!("killed at {point}"),
            Kill::AnswerLost => "killed when the answer was lost".to_owned(),
        });
        let kills: Vec<String> = kills.collect();
        let kills = if kills.is_empty() { "no crash".to_owned() } else { kills.join(", then ") };
        let lost = if self.lost > 0 { ", its answer lost" } else { "" };
        format!("{:?}{lost}, {kills}", self.script)
    }

    pub(crate) fn is_recovery(&self) -> bool {
        !self.kills.is_empty()
    }
}

/// Runs whose last process writes down what it passes: each script without a crash, and the
/// recovery of each after its intent was recorded and nothing was sent.
pub(crate) fn references() -> Vec<Case> {
    let scripts = [Script::Out, Script::In, Script::StopIn, Script::DrainIn];
    let smooth = scripts.map(|script| Case::of(script, Vec::new()));
    let recovered = scripts.map(|script| Case::of(script, vec![Kill::At("call.before:1".into())]));
    smooth.into_iter().chain(recovered).collect()
}

/// The answer is lost, and so is the process that waits for it.
pub(crate) fn answers_lost() -> Vec<Case> {
    let scripts = [Script::Out, Script::In, Script::StopIn, Script::DrainIn];
    let killed = |script| Case { lost: u32::MAX, ..Case::of(script, vec![Kill::AnswerLost]) };
    // Here the repeat has found out, and the process dies with what it knows.
    let told = |script| {
        let kill = Kill::At("call.after:1".into());
        Case { lost: 1, ..Case::of(script, vec![kill]) }
    };
    scripts.into_iter().flat_map(|script| [killed(script), told(script)]).collect()
}

/// A case for each point that `reference` passed, its last process killed there. Of a point that is
/// passed again and again, with every tick or heartbeat, the first time and one in the middle; and
/// only in the two plain scripts, since ticks and heartbeats are the same in all of them.
pub(crate) fn killed_at(reference: &Case, points: &[String]) -> Vec<Case> {
    let is_plain = matches!(reference.script, Script::Out | Script::In);
    let plain = is_plain && !reference.is_recovery();
    let mut cases = Vec::new();
    for (point, count) in times(points) {
        let picked: BTreeSet<usize> = match count {
            0..=3 => (1..=count).collect(),
            _ if plain => [1, count / 2].into(),
            _ => BTreeSet::new(),
        };
        for n in picked {
            let mut kills = reference.kills.clone();
            kills.push(Kill::At(format!("{point}:{n}")));
            cases.push(Case { kills, ..reference.clone() });
        }
    }
    cases
}

/// `call.after 1, heartbeat.after 31, …`.
pub(crate) fn summary(points: &[String]) -> String {
    let times = times(points).into_iter().map(|(point, count)| format!("{point} {count}"));
    times.collect::<Vec<_>>().join(", ")
}

/// How often each point was passed.
fn times(points: &[String]) -> BTreeMap<&str, usize> {
    let mut times = BTreeMap::new();
    for point in points {
        if let Some((name, _)) = point.split_once(':') {
            *times.entry(name).or_default() += 1;
        }
    }
    times
}

/// Every point that is marked below `dir`.
pub(crate) fn marked_in(dir: &Path) -> BTreeSet<String> {
    let mut marked = BTreeSet::new();
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            marked.extend(marked_in(&path));
            continue;
        }
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source file");
        let names = text.split("failpoint!(\"").skip(1).filter_map(|rest| rest.split('"').next());
        marked.extend(names.map(str::to_owned));
    }
    marked
}
