//! The `resilver` command.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use resilver::args::{self, Asked, Command};
use resilver::error::{CliError, Exit};
use resilver::words::print;
use resilver::{backfill, demo, doctor, enroll, local, pause, status};

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let done = match args::parse(&arguments) {
        Ok(Asked::Print(text)) => print(&text).map(|()| Exit::Done),
        Ok(Asked::Run(args)) => run(args.command),
        Err(error) => Err(error),
    };
    let exit = done.unwrap_or_else(|error| tell(&error, json));
    ExitCode::from(exit as u8)
}

fn run(command: Command) -> Result<Exit, CliError> {
    // A server says what goes wrong while it runs; the others say it at their end.
    let default = match command {
        Command::Local(_) => "resilver_emulator=warn",
        _ => "off",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| CliError::unknown(format!("no runtime: {why}")))?;
    match command {
        Command::Demo(args) => runtime.block_on(demo::run(&args)),
        Command::Local(args) => runtime.block_on(local::run(&args)),
        Command::Status(args) => runtime.block_on(status::run(&args)),
        Command::Doctor(args) => runtime.block_on(doctor::run(&args)),
        Command::Pause(args) => runtime.block_on(pause::run_pause(&args)),
        Command::Resume(args) => runtime.block_on(pause::run_resume(&args)),
        Command::Backfill(args) => runtime.block_on(backfill::run(&args)),
        Command::Enroll(args) => runtime.block_on(enroll::run_enroll(&args)),
        Command::Unenroll(args) => runtime.block_on(enroll::run_unenroll(&args)),
    }
}

fn tell(error: &CliError, json: bool) -> Exit {
    let told = match json {
        true => print(&format!("{:#}\n", error.to_json())),
        false => writeln!(std::io::stderr(), "resilver: {error}")
            .map_err(|why| CliError::unknown(why.to_string())),
    };
    // With nobody to tell, the exit code still does.
    drop(told);
    error.exit
}
