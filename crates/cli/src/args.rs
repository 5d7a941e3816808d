//! The command line.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::error::CliError;

/// Keeps S3 replicas whole without a person.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "resilver", version, about, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Break real replication on an embedded AWS, repair the causes, heal, and verify every replica.
    Demo(DemoArgs),
}

/// `resilver demo`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct DemoArgs {
    /// How many objects to make up [default: 1000].
    #[arg(long, value_name = "N", conflicts_with = "from")]
    pub objects: Option<usize>,
    /// Upload the files of this directory instead.
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Seed of everything that chance decides; the same seed gives the same run.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Print one JSON document on stdout, and nothing else there.
    #[arg(long)]
    pub json: bool,
}

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A command.
    Run(Args),
    /// The help, or the version, as text.
    Print(String),
}

/// Reads the arguments. What is wrong with them is said in one line.
pub fn parse(arguments: &[std::ffi::OsString]) -> Result<Asked, CliError> {
    let error = match Args::try_parse_from(arguments) {
        Ok(args) => return Ok(Asked::Run(args)),
        Err(error) => error,
    };
    if !error.use_stderr() {
        return Ok(Asked::Print(error.render().to_string()));
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Err(CliError::usage(
            "no command is given",
            "type `resilver demo`, or `resilver --help`",
        ));
    }
    let rendered = error.render().to_string();
    let line = rendered.lines().next().unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    let demo = arguments.iter().any(|argument| argument == "demo");
    let help = if demo { "resilver demo --help" } else { "resilver --help" };
    Err(CliError::usage(line.trim_end_matches(':').to_owned(), format!("type `{help}`")))
}
