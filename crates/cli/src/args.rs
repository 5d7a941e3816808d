//! The command line: what is typed, and what is wrong with it. It asks nobody.

mod operator;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::error::CliError;

pub use operator::{
    BackfillArgs, BucketArgs, DoctorArgs, EnrollArgs, PauseArgs, PlaceArgs, ResumeArgs, Span,
    StatusArgs, Target,
};

/// Keeps S3 replicas whole without a person.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(name = "resilver", version, about, disable_help_subcommand = true, after_help = EXITS)]
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
    /// Serve the bare embedded AWS to any client: S3 that replicates and fails, batch jobs that run.
    Local(LocalArgs),
    /// Show what waits, flies, is held and is quarantined, why, and what was spent.
    #[command(after_help = PLACE)]
    Status(StatusArgs),
    /// Look for everything that will stop healing or hide failures, each with its remedy.
    #[command(after_help = PLACE)]
    Doctor(DoctorArgs),
    /// Launch nothing more in a bucket; its failures are collected all the same.
    #[command(after_help = PLACE)]
    Pause(PauseArgs),
    /// Go on launching in a bucket that is paused.
    #[command(after_help = PLACE)]
    Resume(ResumeArgs),
    /// Replicate what existed before a rule, or let such a job go that waits for a person.
    #[command(after_help = PLACE)]
    Backfill(BackfillArgs),
    /// Send a bucket's replication failures to the stack's queue.
    #[command(after_help = PLACE)]
    Enroll(EnrollArgs),
    /// Send them there no longer.
    #[command(after_help = PLACE)]
    Unenroll(EnrollArgs),
}

/// What every exit code means, for `--help`.
const EXITS: &str = "\
Exit codes:
  0  done; of doctor: nothing was found
  1  something was found, did not heal, or stands in the way
  2  wrong usage; a bucket, a file or a stack that does not exist
  3  could not find out: AWS refused or did not answer
With --json, stdout is one JSON document, also of an error: {\"error\": {\"code\", \"message\", \"next\"}}.";

/// How the stack is found, for `--help`.
const PLACE: &str = "\
The stack is found by its state bucket, in the account and Region of the environment, as for every AWS \
tool: AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_REGION or AWS_DEFAULT_REGION, and \
AWS_ENDPOINT_URL for what is not AWS. The state bucket is --state-bucket, or RESILVER_STATE_BUCKET, or \
STACK-ACCOUNT-REGION as the template names it, where the account is RESILVER_ACCOUNT or that of the keys. \
The outputs of the stack are not read.

Exit codes:
  0  done; of doctor: nothing was found
  1  something was found, or stands in the way
  2  wrong usage; a bucket or a stack that does not exist
  3  could not find out: AWS refused or did not answer";

/// `resilver local`.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
pub struct LocalArgs {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9000")]
    pub listen: SocketAddr,
    /// Run the world's clock so many times as fast as the wall's.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub speed: u32,
    /// Which access keys are known: the one that is printed, or any, unchecked.
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Credentials::Printed)]
    pub credentials: Credentials,
    /// The account that owns what is made.
    #[arg(long, value_name = "ID", default_value = "111122223333", value_parser = account)]
    pub account: String,
    /// The Region of the account's buckets.
    #[arg(long, value_name = "NAME", default_value = "us-east-1")]
    pub region: String,
    /// Seed of everything that chance decides.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Keep the account in this directory, across restarts [default: in memory].
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Send S3's notifications to the queues of another server, `http://HOST:PORT`.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub sqs_endpoint: Option<String>,
    /// Send the events of jobs and configurations to the bus of another server.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub events_endpoint: Option<String>,
    /// Deploy this SAM template of Resilver's functions, and run them as time passes.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data_dir", "sqs_endpoint", "events_endpoint"])]
    pub template: Option<PathBuf>,
    /// A parameter of the template; may be given several times.
    #[arg(long = "parameter", value_name = "KEY=VALUE", value_parser = parameter, requires = "template")]
    pub parameters: Vec<(String, String)>,
    /// Print the ready line as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which access keys `resilver local` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Credentials {
    /// The one that is printed; signatures are checked.
    Printed,
    /// Any; nothing is checked.
    Any,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a parameter is KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn endpoint(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    match rest {
        Some(host) if !host.is_empty() && !host.contains(['/', '?', '@', ' ']) => {
            Ok(format!("http://{host}"))
        }
        _ => Err("an endpoint is http://HOST:PORT; TLS is not spoken".to_owned()),
    }
}

fn account(text: &str) -> Result<String, String> {
    match text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => Err("an account id is 12 digits".to_owned()),
    }
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

/// The names of the commands.
const COMMANDS: [&str; 9] =
    ["demo", "local", "status", "doctor", "pause", "resume", "backfill", "enroll", "unenroll"];

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
    // What is missing stands in the second line.
    let lines = if error.kind() == ErrorKind::MissingRequiredArgument { 2 } else { 1 };
    let lines: Vec<&str> = rendered.lines().take(lines).map(str::trim).collect();
    let line = lines.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    let named = |name: &&&str| arguments.get(1).is_some_and(|argument| argument == **name);
    let help = match COMMANDS.iter().find(named) {
        Some(command) => format!("resilver {command} --help"),
        None => "resilver --help".to_owned(),
    };
    Err(CliError::usage(line.trim_end_matches(':').to_owned(), format!("type `{help}`")))
}
