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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{S3Settings, UriStyle};
    use crate::store::server::Server;

    fn sent(settings: &S3Settings, path: &str) -> Request<Full<Bytes>> {
        let address = Address::of(settings);
        let mut request = SignedRequest::new("GET", "s3", &Region::UsEast1, path);
        complete(&mut request, Extra::default(), &address);
        // Signed twice, as on a second try: nothing is there twice.
        for region in ["us-east-1", "eu-west-1"] {
            sign(&mut request, &address, region, &AwsCredentials::new("AK", "SK", None, None));
        }
        to_send(&request).unwrap()
    }

    #[test]
    fn host_and_path_are_signed_as_they_are_sent() {
        let mut settings = Server::scripted(vec![]).settings();
        settings.endpoint = crate::settings::Endpoint { https: true, host: "s3.example.com".into(), port: Some(9000) };
        #[rustfmt::skip]
        let table = [
            (UriStyle::Path, "/backups/a b/%2e", "https://s3.example.com:9000/backups/a%20b/%252e",  "s3.example.com:9000"),
            (UriStyle::Host, "/backups/a b/%2e", "https://backups.s3.example.com:9000/a%20b/%252e",  "backups.s3.example.com:9000"),
            (UriStyle::Host, "/backups",         "https://backups.s3.example.com:9000/",             "backups.s3.example.com:9000"),
        ];
        for (uri_style, path, uri, host) in table {
            let request = sent(&S3Settings { uri_style, ..settings.clone() }, path);
            assert_eq!(request.uri().to_string(), uri);
            let header =
                |name| request.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
            assert_eq!(header("host"), [host]);
            assert_eq!(header("x-amz-date").len(), 1);
            assert!(matches!(header("authorization")[..], [signed] if signed.contains("/eu-west-1/s3/aws4_request")));
        }
    }
}
