//! `resilver local`: the bare embedded AWS on a port, for the AWS CLI and every SDK. Nothing heals
//! behind its users' backs, unless they name a template: then its functions run here, as it wires them.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use resilver_emulator::Emulator;
use resilver_emulator::stack::Template;
use resilver_emulator::wire::forward::{Elsewhere, Uri};
use resilver_emulator::wire::journal::JournalError;
use resilver_emulator::world::Config;
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::{App, STACK};
use crate::args::{Credentials, LocalArgs};
use crate::error::{CliError, Exit};

/// How often it is looked whether a function is woken.
const TURN: Duration = Duration::from_millis(20);

/// The ready line for programs.
#[derive(Debug, Serialize)]
struct Ready<'a> {
    endpoint: &'a str,
    account_id: &'a str,
    region: &'a str,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    /// Where a template's functions keep their state.
    #[serde(skip_serializing_if = "Option::is_none")]
    state_bucket: Option<&'a str>,
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// Exit code 1 when the address cannot be listened at, 2 when the template is not deployed.
pub async fn run(args: &LocalArgs) -> Result<Exit, CliError> {
    let config = config(args)?;
    let emulator = match &args.data_dir {
        None => Emulator::new(config.clone()),
        Some(dir) => Emulator::open(dir, config.clone()).await.map_err(unusable)?,
    };
    let elsewhere = Elsewhere {
        sqs: endpoint(args.sqs_endpoint.as_deref())?,
        events: endpoint(args.events_endpoint.as_deref())?,
    };
    let app = match &args.template {
        None => None,
        Some(file) => Some(deploy(file, &args.parameters, &emulator).await?),
    };
    let server =
        emulator.serve_beside(args.listen, args.speed, elsewhere).await.map_err(|why| {
            let next = match why.kind() {
                ErrorKind::AddrInUse => "stop what listens there, or give another --listen",
                _ => "give another --listen",
            };
            CliError::address(format!("cannot listen at {}: {why}", args.listen), next)
        })?;
    // Before the ready line: whoever reads it may stop us at once.
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return Err(CliError::unknown("signals cannot be caught"));
    };
    let state_bucket = app.as_ref().map(|app| app.store.bucket.clone());
    announce(args, &config, &server.endpoint(), state_bucket.as_deref())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        () = work(app) => {}
    }
    server.stop().await;
    emulator.close().await;
    Ok(Exit::Done)
}

/// Deploys a template, and says on stderr what it has wired.
async fn deploy(
    file: &Path,
    parameters: &[(String, String)],
    emulator: &Emulator,
) -> Result<App, CliError> {
    let unread = |why| {
        CliError::path(format!("{} cannot be read: {why}", file.display()), "name a template")
    };
    let text = std::fs::read_to_string(file).map_err(unread)?;
    let wrong = |what: String| {
        let next = "correct the template, or what --parameter gives it";
        CliError {
            code: "template",
            ..CliError::usage(format!("{}: {what}", file.display()), next)
        }
    };
    let template = Template::read(&text).map_err(|why| wrong(why.to_string()))?;
    let answers = parameters.iter().cloned().collect();
    let app = App::install(emulator.clone(), Arc::new(template), STACK, &answers).await;
    let app = app.map_err(|why| wrong(why.to_string()))?;
    let lines: String = app.wiring().iter().map(|line| format!("  {line}\n")).collect();
    // Nobody may be there to read it, and that is no reason to stop.
    let _ = write!(std::io::stderr(), "The stack {STACK} of {}:\n\n{lines}", file.display());
    Ok(app)
}

/// Runs the functions as they are woken, for ever; the clock is the server's.
async fn work(app: Option<App>) {
    let Some(app) = app else { return std::future::pending().await };
    let mut pause = tokio::time::interval(TURN);
    loop {
        pause.tick().await;
        app.turn().await;
    }
}

/// An endpoint as an address.
fn endpoint(text: Option<&str>) -> Result<Option<Uri>, CliError> {
    let wrong =
        |text: &str| CliError::usage(format!("{text} is no address"), "give http://HOST:PORT");
    text.map(|text| text.parse().map_err(|_| wrong(text))).transpose()
}

fn unusable(error: JournalError) -> CliError {
    let next = match &error {
        JournalError::File(..) => "name a directory that can be written",
        JournalError::Taken(_) => "stop that server, or give another --data-dir",
        JournalError::Other(..) => {
            "give the same --account, --region, --seed and endpoints, or another --data-dir"
        }
        JournalError::Foreign(..) => "give another --data-dir, or cut the file where it says",
    };
    CliError::path(error.to_string(), next)
}

fn config(args: &LocalArgs) -> Result<Config, CliError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok();
    let start = now.and_then(|now| u64::try_from(now.as_millis()).ok());
    let mut config = Config {
        account: args.account.clone(),
        region: args.region.clone(),
        seed: args.seed,
        queues_elsewhere: args.sqs_endpoint.is_some(),
        bus_elsewhere: args.events_endpoint.is_some(),
        start: start.ok_or_else(|| CliError::unknown("the clock stands before 1970"))?,
        ..Config::default()
    };
    if args.credentials == Credentials::Any {
        config.credentials = None;
    }
    Ok(config)
}

/// One line on stdout, once requests are taken; for people, what to type next on stderr.
fn announce(
    args: &LocalArgs,
    config: &Config,
    endpoint: &str,
    state_bucket: Option<&str>,
) -> Result<(), CliError> {
    let any = ("any".to_owned(), "any".to_owned());
    let (key, secret) = config.credentials.clone().unwrap_or(any);
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        let ready = Ready {
            endpoint,
            account_id: &config.account,
            region: &config.region,
            access_key_id: &key,
            secret_access_key: &secret,
            state_bucket,
        };
        let ready = serde_json::to_string(&ready).unwrap_or_default();
        writeln!(out, "{ready}")
    } else {
        writeln!(out, "The embedded AWS listens at {endpoint}; stop it with Ctrl-C")
    };
    let flushed = written.and_then(|()| out.flush());
    flushed.map_err(|why| CliError::unknown(format!("stdout is closed: {why}")))?;
    if !args.json {
        // Nobody may be there to read it, and that is no reason to stop.
        let _ = write!(
            std::io::stderr(),
            "
Account {}, Region {}. In another terminal:

  export AWS_ENDPOINT_URL={endpoint} AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret}
  export AWS_DEFAULT_REGION={} AWS_ENDPOINT_URL_S3_CONTROL=http://aws.resilver.test HTTP_PROXY={endpoint}
  aws s3api list-buckets

S3 Control goes through {endpoint} as a proxy, because every SDK puts the account id before its host.
{}",
            config.account,
            config.region,
            config.region,
            state_bucket.map(operators).unwrap_or_default()
        );
    }
    Ok(())
}

/// What to type next for Resilver's own commands.
fn operators(state_bucket: &str) -> String {
    format!(
        "
The functions keep their state in s3://{state_bucket}. With the same exports:

  export RESILVER_STATE_BUCKET={state_bucket}
  resilver enroll s3://BUCKET    # one of yours, versioned
  resilver status
  resilver doctor
"
    )
}
