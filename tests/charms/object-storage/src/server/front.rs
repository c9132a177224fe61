//! What happens to a request before the S3 service sees it: faults, the region, an unread body.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, HttpError, S3Error, s3_error};
use tokio::sync::watch;

use super::faults::{Fault, Mode};

pub(super) struct Front {
    pub(super) service: S3Service,
    pub(super) region: String,
    pub(super) fault: watch::Receiver<Fault>,
    pub(super) log: bool,
}

/// So much of a refused upload is still read. A client that is cut off while it sends never reads the answer.
const READ_ON: usize = 64 << 20;

pub(super) async fn answer(front: Arc<Front>, request: Request<Incoming>) -> Result<Response<Body>, HttpError> {
    let mode = front.fault.borrow().mode;
    let line = front.log.then(|| format!("{} {}", request.method(), request.uri()));
    let waits_for_go = request.headers().contains_key(header::EXPECT);
    let refused = refused(mode, request.method(), request.uri())
        .or_else(|| wrong_region(&front.region, request.headers(), request.uri()));
    let (head, incoming) = request.into_parts();
    let unread = Shared(Arc::new(Mutex::new(incoming)));
    let answer = match refused {
        Some(err) => err.to_http_response().map_err(|err| HttpError::new(Box::new(err)))?,
        None => front.service.call(Request::from_parts(head, Body::http_body(unread.clone()))).await?,
    };
    if answer.status().as_u16() >= 400 && !waits_for_go {
        unread.read_on().await;
    }
    if let Some(line) = line {
        eprintln!("{line} {}", answer.status().as_u16());
    }
    Ok(answer)
}

fn refused(mode: Mode, method: &Method, uri: &Uri) -> Option<S3Error> {
    match mode {
        Mode::Deny => Some(s3_error!(AccessDenied, "Access Denied")),
        Mode::Unavailable => {
            let mut err = s3_error!(SlowDown, "Please reduce your request rate.");
            err.set_status_code(StatusCode::SERVICE_UNAVAILABLE);
            Some(err)
        }
        Mode::Full if stores(method, uri) => {
            let Ok(code) = "InsufficientStorage".parse();
            let mut err = S3Error::new(code);
            err.set_message("There is no space left in the object store.");
            err.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
            Some(err)
        }
        _ => None,
    }
}

/// Deleting stays possible when full, also that of many objects, which is a POST.
fn stores(method: &Method, uri: &Uri) -> bool {
    let deletes =
        || uri.query().is_some_and(|query| query.split('&').any(|part| part.trim_end_matches('=') == "delete"));
    method == Method::PUT || (method == Method::POST && !deletes())
}

/// S3 refuses what was signed for another region before it looks at the signature.
fn wrong_region(region: &str, headers: &HeaderMap, uri: &Uri) -> Option<S3Error> {
    if region.is_empty() {
        return None;
    }
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let scope = match signed {
        Some(value) => value.split_once("Credential=")?.1.split(',').next()?.replace("%2F", "/"),
        None => uri.query()?.split_once("X-Amz-Credential=")?.1.split('&').next()?.replace("%2F", "/"),
    };
    let asked = scope.split('/').nth(2)?;
    (asked != region)
        .then(|| s3_error!(AuthorizationHeaderMalformed, "the region '{asked}' is wrong; expecting '{region}'"))
}

/// A request body that the service reads and that we can read on when it did not.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    fn with<T>(&self, work: impl FnOnce(Pin<&mut Incoming>) -> T) -> T {
        work(Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    async fn read_on(&self) {
        let mut left = READ_ON;
        let next = || std::future::poll_fn(|cx| self.with(|body| body.poll_frame(cx)));
        while let Some(Ok(frame)) = next().await {
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return,
            }
        }
    }
}

impl http_body::Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        self.with(|body| body.poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_store_still_deletes_and_reads() {
        #[rustfmt::skip]
        let table = [
            (Method::PUT,    "/b/k",           true),
            (Method::POST,   "/b/k?uploads",   true),
            (Method::POST,   "/b?delete",      false),
            (Method::POST,   "/b?delete=",     false),
            (Method::DELETE, "/b/k",           false),
            (Method::GET,    "/b/k",           false),
        ];
        for (method, uri, expected) in table {
            assert_eq!(stores(&method, &Uri::from_static(uri)), expected, "{method} {uri}");
        }
    }

    #[test]
    fn what_is_signed_for_another_region_is_refused() {
        let mut headers = HeaderMap::new();
        let uri = Uri::from_static("/b");
        assert!(wrong_region("eu-1", &headers, &uri).is_none());
        let signed =
            "AWS4-HMAC-SHA256 Credential=AK/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
        headers.insert(header::AUTHORIZATION, http::HeaderValue::from_static(signed));
        assert!(wrong_region("us-east-1", &headers, &uri).is_none());
        assert!(wrong_region("", &headers, &uri).is_none());
        assert!(wrong_region("eu-1", &headers, &uri).is_some());
        let presigned = Uri::from_static("/b?X-Amz-Credential=AK%2F20261122%2Fus-east-1%2Fs3%2Faws4_request&X=1");
        assert!(wrong_region("eu-1", &HeaderMap::new(), &presigned).is_some());
    }
}
