//! Our end of rusoto: its requests go out through [`Transport`], and it sees good
//! answers only. None of its own HTTP, TLS, credential or error code runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusoto_core::request::{DispatchSignedRequest, DispatchSignedRequestFuture, HttpDispatchError, HttpResponse};
use rusoto_core::signature::SignedRequest;

use super::request::Extra;
use super::transport::Transport;
use crate::store::StoreError;

/// One call. rusoto's errors carry a text only, so the failure is kept here.
#[derive(Clone)]
pub(super) struct Call {
    pub transport: Arc<Transport>,
    pub extra: Extra,
    pub failure: Arc<Mutex<Option<StoreError>>>,
}

impl Call {
    pub fn new(transport: Arc<Transport>, extra: Extra) -> Self {
        Self { transport, extra, failure: Arc::default() }
    }

    pub fn failed(&self) -> Option<StoreError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn run(self, request: SignedRequest) -> Result<HttpResponse, HttpDispatchError> {
        match self.transport.send(request, self.extra).await {
            // Status 200 and no header: rusoto unwraps the numbers it finds in headers.
            Ok(body) => {
                Ok(HttpResponse { status: Default::default(), headers: Default::default(), body: body.to_vec().into() })
            }
            Err(error) => {
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(HttpDispatchError::new("see the call's failure".to_owned()))
            }
        }
    }
}

impl DispatchSignedRequest for Call {
    fn dispatch(&self, request: SignedRequest, _timeout: Option<Duration>) -> DispatchSignedRequestFuture {
        Box::pin(self.clone().run(request))
    }
}
