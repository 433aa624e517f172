//! Points at which a test kills the process: before and after everything that is written and sent.
//!
//! Without the feature `failpoints`, which only tests switch on, they are nothing.
//!
//! `FLEETSCALER_FAILPOINT=intend.after:2` ends the process, as `kill -9` does, when it comes to that
//! point for the second time. `FLEETSCALER_FAILPOINT_LOG=FILE` writes down each point that is passed.
//! With `FLEETSCALER_FAILPOINT_ARM=FILE` nothing counts before that file is there: a test lets a
//! fleet come to rest first.

/// Marks a point.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoint::pass($name);
    };
}

#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &'static str) {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::Mutex;

    static PASSED: Mutex<BTreeMap<&str, u32>> = Mutex::new(BTreeMap::new());
    let file = |variable| std::env::var_os(variable).map(std::path::PathBuf::from);
    if file("FLEETSCALER_FAILPOINT_ARM").is_some_and(|arm| !arm.exists()) {
        return;
    }
    let count = {
        let mut passed = PASSED.lock().expect("no holder of this lock can panic");
        let count = passed.entry(name).or_default();
        *count += 1;
        *count
    };
    if let Some(path) = file("FLEETSCALER_FAILPOINT_LOG") {
        let log = std::fs::OpenOptions::new().append(true).create(true).open(path);
        // One write for the whole line: tasks that pass points at the same time may not mix theirs.
        let line = format!("{name}:{count}\n");
        log.and_then(|mut log| log.write_all(line.as_bytes())).expect("the log can be written");
    }
    if std::env::var("FLEETSCALER_FAILPOINT").is_ok_and(|point| point == format!("{name}:{count}"))
    {
        let pid = std::process::id().to_string();
        drop(std::process::Command::new("kill").args(["-KILL", &pid]).status());
        loop {
            std::thread::park();
        }
    }
}
