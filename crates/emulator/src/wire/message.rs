//! Errors that are not S3's own, in the shape of the service that gives them.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::json;

use super::xml::printable;
use crate::world::Refusal;
use crate::world::fault::Service;

/// A refusal as the answer of a service.
pub(super) fn refused(service: Service, refusal: &Refusal) -> Response<Bytes> {
    let (code, message) = (printable(&refusal.code), printable(&refusal.message));
    let (code, message) = (quick_xml::escape::escape(code), quick_xml::escape::escape(message));
    let (content_type, body) = match service {
        Service::S3 => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
            ),
        ),
        Service::Control | Service::Iam | Service::Sts => (
            "application/xml",
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
            ),
        ),
        Service::Sqs | Service::Events | Service::Kms => (
            "application/x-amz-json-1.0",
            json!({ "__type": refusal.code, "message": refusal.message }).to_string(),
        ),
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() =
        StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    set(&mut response, "content-type", content_type);
    response
}

/// Sets a header, unless the value cannot be one.
pub(super) fn set(response: &mut Response<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
}
