//! From rusoto's request to the one that is sent: what rusoto cannot build is
//! added before signing, the signed parts are taken over as they are.

use bytes::Bytes;
use http_body_util::Full;
use rusoto_core::Region;
use rusoto_core::credential::AwsCredentials;
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};

use crate::store::address::Address;
use crate::sys::http::Request;

/// What a call needs besides rusoto's own fields.
#[derive(Debug, Clone, Default)]
pub(super) struct Extra {
    pub headers: Vec<(&'static str, String)>,
    /// A body in one piece: rusoto would send it as a stream, which is not
    /// signed and cannot be sent twice.
    pub payload: Option<Bytes>,
    pub answer: AnswerKind,
}

/// What a good answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum AnswerKind {
    #[default]
    Anything,
    Listing,
}

/// Adds the headers and the body, and puts the bucket's name where it belongs.
pub(super) fn complete(request: &mut SignedRequest, extra: Extra, address: &Address) {
    request.path = address.path(&request.path);
    for (name, value) in &extra.headers {
        request.remove_header(name);
        request.add_header(name, value);
    }
    if extra.payload.is_some() {
        request.set_payload(extra.payload);
    }
}

/// Signs for a region (again, when it was signed before).
pub(super) fn sign(request: &mut SignedRequest, address: &Address, region: &str, credentials: &AwsCredentials) {
    let endpoint = address.endpoint(region).to_string();
    request.region = Region::Custom { name: region.to_owned(), endpoint };
    request.set_hostname(Some(address.host(region)));
    request.sign(credentials);
}

/// The same request in the types of our HTTP client. The reason is one of a
/// header or URI that HTTP cannot carry; it never quotes their content.
pub(super) fn to_send(request: &SignedRequest) -> Result<Request<Full<Bytes>>, String> {
    let query = match request.canonical_query_string() {
        "" => String::new(),
        query => format!("?{query}"),
    };
    let uri = format!("{}://{}{}{query}", request.scheme(), request.hostname(), request.canonical_uri());
    let mut builder = Request::builder().method(request.method()).uri(uri);
    for (name, values) in request.headers().iter().filter(|(name, _)| *name != "content-length") {
        for value in values {
            builder = builder.header(name, value.as_slice());
        }
    }
    let body = match &request.payload {
        Some(SignedRequestPayload::Buffer(bytes)) => bytes.clone(),
        _ => Bytes::new(),
    };
    builder.body(Full::new(body)).map_err(|error| error.to_string())
}
