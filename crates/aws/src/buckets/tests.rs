#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use sha2::{Digest, Sha256};

use super::*;
use crate::clients::Place;

/// What a newer S3 might answer: elements and attributes that the SDK does not know.
const DOCUMENT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<NotificationConfiguration \
    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><QueueConfiguration retries='3'><Id>a &amp; b</Id>\
    <Queue>arn</Queue>\n <Event>s3:ObjectCreated:*</Event><Batch><Of>10</Of></Batch></QueueConfiguration>\
    <StreamConfiguration/></NotificationConfiguration>";

/// A service that gives one answer, and keeps what it was asked.
#[derive(Debug, Clone)]
struct Script {
    answer: (u16, &'static str),
    asked: Arc<Mutex<Vec<HttpRequest>>>,
}

impl HttpConnector for Script {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.asked.lock().unwrap().push(request);
        let (status, body) = self.answer;
        let response = http::Response::builder().status(status);
        let response = response.header("x-amz-bucket-region", "eu-west-1");
        HttpConnectorFuture::ready(Ok(response
            .body(SdkBody::from(body))
            .unwrap()
            .try_into()
            .unwrap()))
    }
}

impl HttpClient for Script {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

fn answering(status: u16, body: &'static str) -> (Clients, Arc<Mutex<Vec<HttpRequest>>>) {
    let script = Script { answer: (status, body), asked: Arc::default() };
    let asked = Arc::clone(&script.asked);
    let place = Place {
        endpoint: "http://s3.test",
        region: "us-east-1",
        account: "111122223333",
        keys: ("id", "secret"),
    };
    (Clients::at(&place, SharedHttpClient::new(script)), asked)
}

#[tokio::test]
async fn a_document_is_read_byte_for_byte() {
    let (clients, _) = answering(200, DOCUMENT);
    assert_eq!(notifications(&clients, "photos").await.unwrap(), DOCUMENT);
    let (clients, _) = answering(200, "no XML at all");
    assert_eq!(notifications(&clients, "photos").await.unwrap(), "no XML at all");
    let missing = "<Error><Code>NoSuchBucket</Code><Message>none</Message></Error>";
    let (clients, _) = answering(404, missing);
    assert_eq!(notifications(&clients, "photos").await.unwrap_err().kind, Kind::NotFound);
}

#[tokio::test]
async fn a_document_is_written_byte_for_byte_and_signed() {
    for unasked in [false, true] {
        let (clients, asked) = answering(200, "");
        put_notifications(&clients, "photos", DOCUMENT.to_owned(), unasked).await.unwrap();
        let asked = asked.lock().unwrap();
        let request = &asked[0];
        assert_eq!((asked.len(), request.method()), (1, "PUT"));
        assert!(request.uri().contains("/photos/?notification"), "{}", request.uri());
        assert_eq!(request.body().bytes().unwrap(), DOCUMENT.as_bytes());
        let header = |name: &str| request.headers().get(name);
        assert_eq!(header("content-length"), Some(DOCUMENT.len().to_string().as_str()));
        let hash = hex::encode(Sha256::digest(DOCUMENT));
        assert_eq!(header("x-amz-content-sha256"), Some(hash.as_str()), "what is signed is sent");
        assert_eq!(header("x-amz-skip-destination-validation"), unasked.then_some("true"));
        let names = request.headers().iter().map(|(name, _)| name.to_owned());
        let checks: Vec<String> =
            names.filter(|it| it.contains("checksum") || it == "content-md5").collect();
        assert_eq!(checks, Vec::<String>::new(), "nothing contradicts the body");
    }
}

#[tokio::test]
async fn what_s3_says_of_destinations_is_in_the_error() {
    let (clients, _) = answering(
        400,
        "<Error><Code>InvalidArgument</Code><Message>Unable to validate the following destination \
         configurations</Message><ArgumentName1>arn:aws:sqs:x:1:q, null</ArgumentName1><ArgumentValue1>The \
         destination queue does not exist</ArgumentValue1><RequestId>r</RequestId></Error>",
    );
    let put = put_notifications(&clients, "photos", DOCUMENT.to_owned(), false).await;
    let problem = put.unwrap_err();
    assert_eq!(problem.kind, Kind::Invalid);
    assert_eq!(
        problem.message,
        "Unable to validate the following destination configurations: \
         arn:aws:sqs:x:1:q, null The destination queue does not exist"
    );
    assert_eq!(arguments("<Error><Code>InvalidArgument</Code></Error>"), "");
}

#[tokio::test]
async fn a_bucket_of_another_region_is_told_from_one_that_is_not_there() {
    for (status, expected) in [
        (200, Ok(Some("eu-west-1"))),
        (301, Ok(Some("eu-west-1"))),
        (403, Ok(Some("eu-west-1"))),
        (404, Ok(None)),
        (503, Ok(Some("eu-west-1"))),
    ] {
        let (clients, _) = answering(status, "");
        let found = region(&clients, "photos").await;
        assert_eq!(found.as_ref().map(Option::as_deref), expected.as_ref().copied(), "{status}");
    }
}
