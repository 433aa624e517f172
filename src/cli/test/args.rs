//! The flags of `fleetscaler test`.

use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each file is one scenario: a fleet, what its signals show, and what is expected
of the decisions. The code that decides is the daemon's; time, instances and the
cloud are simulated, so a day takes a moment and nothing is called.

  config = \"config.toml\"        # or a table [fleet], and [[rule]]
  fleet = \"web\"
  instances = 4                 # in service at the start
  [[series]]
  signal = \"cpu\"
  values = \"20x4 85..95x3 _x2 40\"   # one a tick; _ is missing
  [[expect]]
  at = \"6m\"
  desired = 6

docs/policies.md has all keys, docs/scenarios an example for each kind of rule.

Exit codes: 0 all pass; 1 an expectation did not come true; 2 a file has
problems (all of them are printed), or the command line is wrong")]
pub(crate) struct TestArgs {
    /// The scenarios
    #[arg(required = true, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    pub(super) junit: Option<PathBuf>,
    /// Print every decision that differs from the one before, with its reasons
    #[arg(long)]
    pub(super) trace: bool,
}
