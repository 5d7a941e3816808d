//! The `resilver` command.

use std::io::Write;
use std::process::ExitCode;

use resilver::args::{self, Asked, Command};
use resilver::error::{CliError, Exit};
use resilver::{demo, local};

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
        Command::Demo(_) => "off",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|why| CliError::unknown(format!("no runtime: {why}")))?;
    match command {
        Command::Demo(args) => runtime.block_on(demo::run(&args)),
        Command::Local(args) => runtime.block_on(local::run(&args)),
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

fn print(text: &str) -> Result<(), CliError> {
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|why| CliError::unknown(format!("stdout is closed: {why}")))
}
