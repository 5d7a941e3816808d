//! The emulator as the HTTP client of an SDK in the same process: no socket, no copy of the bodies.
//! Requests to hosts that are not AWS go to the outbox.

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;

use super::host::is_ours;
use super::outbox::Posted;
use crate::Shared;

/// The connector that an SDK is given.
#[derive(Clone)]
pub(crate) struct InProcess {
    shared: Arc<Shared>,
}

impl InProcess {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn exchange(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let request =
            request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let (mut parts, body) = request.into_parts();
        let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
        let authority = parts.uri.authority().map(ToString::to_string).unwrap_or_default();
        // hyper would do so; the signature covers it.
        if !parts.headers.contains_key(HOST)
            && let Ok(host) = HeaderValue::from_str(&authority)
        {
            parts.headers.insert(HOST, host);
        }
        let request = Request::from_parts(parts, body);
        // On a wire others have their turn while one waits for its answer.
        tokio::task::yield_now().await;
        let response = if is_ours(&authority) {
            let outcome = self.shared.handle(request).await;
            let broken = || {
                ConnectorError::io(
                    "the emulator broke the connection: a fault was asked for".into(),
                )
            };
            outcome.response.ok_or_else(broken)?
        } else {
            self.post(request)
        };
        response
            .map(SdkBody::from)
            .try_into()
            .map_err(|error| ConnectorError::other(Box::new(error), None))
    }

    fn post(&self, request: Request<Bytes>) -> Response<Bytes> {
        let at = self.shared.with(|world| world.now());
        let headers = request.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let posted = Posted {
            url: request.uri().to_string(),
            headers: headers.collect(),
            body: request.body().clone(),
            at,
            status: 0,
        };
        self.shared.outbox(|outbox| outbox.post(posted))
    }
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess").finish_non_exhaustive()
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().exchange(request))
    }
}

impl HttpClient for InProcess {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}
