//! The doorway.

fn main() -> std::process::ExitCode {
    fleetscaler::cli::main(std::env::args_os())
}
