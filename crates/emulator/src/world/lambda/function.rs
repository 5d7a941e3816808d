//! A function as it is declared: under which role it runs, what it is given, and what becomes of an
//! invocation that it does not manage. It holds no code.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Invocation, Mapping, rfc3339};
use crate::world::refusal::{Answer, Refusal};
use crate::world::{Millis, World, access, queue};

/// What the poller of a queue does in the name of the function's role (Lambda Developer Guide: using
/// Lambda with SQS, execution role permissions).
const READ: [&str; 3] = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
/// What every invocation does in the name of the function's role (Lambda Developer Guide: execution role).
const LOG: [&str; 2] = ["logs:CreateLogStream", "logs:PutLogEvents"];
/// The same of one that is traced (Lambda Developer Guide: X-Ray).
const TRACE: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];

/// A function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The ARN of the role that it runs under.
    pub role: String,
    /// The access key and the secret of its session of the role.
    pub keys: (String, String),
    /// What it is built from, for whoever runs it.
    pub code: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// How long it may run, in milliseconds.
    pub timeout: Millis,
    /// Whether its invocations are traced.
    pub traced: bool,
    /// The name of its log group.
    pub log_group: String,
    /// How often an asynchronous invocation that failed is tried again: 0 to 2.
    pub retries: usize,
    /// The queue that is told of an asynchronous invocation that failed for good, an ARN.
    pub on_failure: Option<String>,
    /// The queue that is given the event of such an invocation, an ARN.
    pub dead_letters: Option<String>,
}

impl Function {
    /// Its ARN.
    pub fn arn(&self, region: &str) -> String {
        format!("arn:aws:lambda:{region}:{}:function:{}", access::account_of(&self.role), self.name)
    }
}

/// Whether the function of a mapping, if its role is known, may read the queue.
pub(super) fn check_reader(world: &World, mapping: &Mapping) -> Answer<()> {
    let Some(function) = world.lambda.functions.get(&mapping.function) else {
        return Ok(());
    };
    for action in READ {
        if !access::own(world, &function.role, (action, &mapping.queue), &[]) {
            let call = action.trim_start_matches("sqs:");
            let message = format!(
                "The provided execution role does not have permissions to call {call} on SQS"
            );
            return Err(Refusal::new(400, "InvalidParameterValueException", message));
        }
    }
    Ok(())
}

/// An invocation begins to log. One whose role may not does its work in silence.
pub(super) fn logs(world: &World, function: &str) {
    let Some(function) = world.lambda.functions.get(function) else { return };
    let (region, account) = (&world.config.region, access::account_of(&function.role));
    let group = &function.log_group;
    let stream = format!("arn:aws:logs:{region}:{account}:log-group:{group}:log-stream:stream");
    for action in LOG {
        access::own(world, &function.role, (action, &stream), &[]);
    }
    for action in TRACE.iter().filter(|_| function.traced) {
        access::own(world, &function.role, (action, "*"), &[]);
    }
}

/// An asynchronous invocation failed for good: whoever is to be told of it is, if the role may
/// (Lambda Developer Guide: invocation-async-retain-records).
pub(super) fn give_up(world: &mut World, invocation: &Invocation, why: &str) {
    let Some(function) = world.lambda.functions.get(&invocation.function).cloned() else {
        return;
    };
    let attempts = invocation.attempt + 1;
    let record = json!({
        "version": "1.0",
        "timestamp": rfc3339(world.now()),
        "requestContext": {
            "requestId": invocation.id,
            "functionArn": format!("{}:$LATEST", function.arn(&world.config.region)),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": invocation.payload,
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "responsePayload": {"errorMessage": why},
    });
    let tell = |world: &mut World, to: &Option<String>, body: &Value| {
        let Some(arn) = to else { return };
        if access::own(world, &function.role, ("sqs:SendMessage", arn), &[]) {
            // A queue that is gone is told nothing.
            let _ = queue::send(world, arn, body.to_string());
        }
    };
    tell(world, &function.on_failure, &record);
    tell(world, &function.dead_letters, &invocation.payload);
}
