//! Posting to a webhook, and putting an answer where somebody waits for it. The URL is a secret:
//! errors name its host and nothing more, and an answer that repeats it is kept without.

use std::time::Duration;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;

use crate::AwsError;

/// How long a chat has to answer: one that hangs must not keep the others from hearing.
const ANSWER_IN: Duration = Duration::from_secs(10);
/// Bytes of an answer that are kept.
const ANSWER_MAX: usize = 4 * 1024;
/// Pieces of a URL of so many bytes are taken for secrets.
const SECRET_MIN: usize = 4;

/// What a webhook answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its HTTP status.
    pub status: u16,
    /// The beginning of its body.
    pub body: String,
}

/// Posts `body`, once. An answer of any status is an answer; only none at all is an error.
pub async fn post(
    http: &SharedHttpClient,
    url: &str,
    content_type: &'static str,
    body: String,
) -> Result<Reply, AwsError> {
    send(http, "POST", url, Some(content_type), body).await
}

/// Puts `body`, once, without a content type: the signature of a URL that CloudFormation gives covers
/// an empty one.
pub async fn put(http: &SharedHttpClient, url: &str, body: String) -> Result<Reply, AwsError> {
    send(http, "PUT", url, None, body).await
}

async fn send(
    http: &SharedHttpClient,
    method: &'static str,
    url: &str,
    content_type: Option<&'static str>,
    body: String,
) -> Result<Reply, AwsError> {
    let Some((base, path)) = split(url) else {
        return Err(AwsError::local(method, "the webhook", "its URL is not https://host/path"));
    };
    let secrets = secrets(&path);
    let known = secrets.clone();
    let operation = Operation::builder()
        .service_name("webhook")
        .operation_name(method)
        .http_client(http.clone())
        .endpoint_url(&base)
        .no_auth()
        .no_retry()
        .timeout_config(TimeoutConfig::disabled())
        .serializer(move |body: String| {
            let request = http::Request::builder().method(method).uri(&path);
            let request = match content_type {
                Some(content_type) => request.header("content-type", content_type),
                None => request,
            };
            let request = request.header("content-length", body.len()).body(SdkBody::from(body))?;
            Ok(HttpRequest::try_from(request)?)
        })
        .deserializer::<Reply, std::convert::Infallible>(move |response| {
            Ok(reply(response, &secrets))
        })
        .build();
    // Not the SDK's own timeout: that sleeps on a clock which an emulator may have made stand still.
    let Ok(answer) = tokio::time::timeout(ANSWER_IN, operation.invoke(body)).await else {
        return Err(AwsError::local(method, base, "no answer in time"));
    };
    match answer {
        Ok(reply) => Ok(reply),
        Err(SdkError::ResponseError(context)) => Ok(reply(context.raw(), &known)),
        Err(SdkError::TimeoutError(_)) => Err(AwsError::local(method, base, "no answer in time")),
        Err(_) => Err(AwsError::local(method, base, "no answer")),
    }
}

/// The answer, without what it repeats of the URL, as pages that say *not found* do.
fn reply(response: &HttpResponse, secrets: &[String]) -> Reply {
    let body = response.body().bytes().unwrap_or_default();
    let mut body = String::from_utf8_lossy(body).into_owned();
    for secret in secrets {
        body = body.replace(secret, "…");
    }
    body.truncate(body.floor_char_boundary(ANSWER_MAX));
    Reply { status: response.status().as_u16(), body }
}

/// What of a path and query may let somebody in: all but its shortest pieces.
fn secrets(path: &str) -> Vec<String> {
    let mut pieces: Vec<String> = path.split(['/', '?', '&', '=']).map(str::to_owned).collect();
    pieces.extend(
        pieces.clone().iter().map(|piece| {
            percent_encoding::percent_decode_str(piece).decode_utf8_lossy().into_owned()
        }),
    );
    pieces.retain(|piece| piece.len() >= SECRET_MIN);
    // Longer ones first, in case one is a part of another.
    pieces.sort_by_key(|piece| std::cmp::Reverse(piece.len()));
    pieces
}

/// Scheme and host, and the rest.
fn split(url: &str) -> Option<(String, String)> {
    let uri: http::Uri = url.parse().ok()?;
    let base = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
    Some((base, uri.path_and_query()?.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_answer_that_repeats_the_url_is_kept_without() {
        let secrets = secrets("/services/T0AB/B1CD/x%2Fyz%20w?sig=s3cr3t%3D&v=1");
        let page = "no /services/T0AB/B1CD/x%2Fyz%20w (x/yz w) here, sig s3cr3t= v=1";
        let page = http::Response::builder().status(404).body(SdkBody::from(page)).unwrap();
        let reply = reply(&HttpResponse::try_from(page).unwrap(), &secrets);
        assert_eq!(reply.status, 404);
        assert_eq!(reply.body, "no /…/…/…/… (…) here, sig … v=1");
    }

    #[test]
    fn an_answer_is_cut_where_a_character_ends() {
        let page = http::Response::new(SdkBody::from("ü".repeat(ANSWER_MAX)));
        let reply = reply(&HttpResponse::try_from(page).unwrap(), &[]);
        assert_eq!(reply.body.len(), ANSWER_MAX);
    }
}
