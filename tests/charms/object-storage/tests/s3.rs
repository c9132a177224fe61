//! The S3 API as clients see it, where the servers of others went wrong before.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod support;

use object_storage::keys::Keys;
use object_storage::store::PART_MIN;
use support::{Request, Server};

#[test]
fn objects_come_back_as_they_were_put() {
    let mut server = Server::start();
    let mut s3 = server.bucket("bkt");
    let data: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(s3.put("/bkt/small", "hello").headers["etag"], "\"5d41402abc4b2a76b9719d911017c592\"");
    assert_eq!(s3.put("/bkt/large", &data).status, 200);
    assert_eq!(s3.put("/bkt/empty", "").status, 200);
    server.restart();
    let mut s3 = server.client();
    assert_eq!(s3.get("/bkt/small").text(), "hello");
    assert_eq!(s3.get("/bkt/large").body, data);
    assert_eq!(s3.get("/bkt/empty").body, b"");
    let head = s3.head("/bkt/large");
    assert_eq!((head.status, head.headers["content-length"].as_str()), (200, "3000000"));
    assert_eq!(s3.delete("/bkt/large").status, 204);
    assert_eq!(s3.delete("/bkt/large").status, 204);
    assert_eq!(s3.get("/bkt/large").error(), (404, "NoSuchKey".to_owned()));
    assert_eq!(s3.get("/none/x").error(), (404, "NoSuchBucket".to_owned()));
    assert_eq!(s3.put("/none/x", vec![0; 3 << 20]).error(), (404, "NoSuchBucket".to_owned()));
}

#[test]
fn ranges() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    s3.put("/bkt/k", "0123456789");
    #[rustfmt::skip]
    let table = [
        ("bytes=2-4",    206, "234",  "bytes 2-4/10"),
        ("bytes=7-",     206, "789",  "bytes 7-9/10"),
        ("bytes=-2",     206, "89",   "bytes 8-9/10"),
        ("bytes=5-99",   206, "56789","bytes 5-9/10"),
    ];
    for (range, status, body, content) in table {
        let headers = [("range", range)];
        let request = Request { method: "GET", path: "/bkt/k", headers: &headers, ..Request::default() };
        let answer = s3.send(&request).unwrap();
        assert_eq!((answer.status, answer.text(), answer.headers["content-range"].as_str()), (status, body, content));
    }
    let request = Request { method: "GET", path: "/bkt/k", headers: &[("range", "bytes=10-")], ..Request::default() };
    assert_eq!(s3.send(&request).unwrap().status, 416);
}

#[test]
fn any_key_is_just_a_name() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    let long = "k/".repeat(512);
    let flat = "f".repeat(1024);
    for key in [&long, &flat, "a/b/c", "a b+c%&=?", "é/ü", "dots/../x", "slash//es", "ends/"] {
        let path = format!("/bkt/{key}");
        assert_eq!(s3.put(&path, key).status, 200, "{key}");
        assert_eq!(s3.get(&path).text(), key);
    }
    // A "directory" of other keys is no object, and one may be made beside them.
    for key in ["a", "a/", "a/b", "a/b/", "k", "ends"] {
        assert_eq!(s3.head(&format!("/bkt/{key}")).status, 404, "{key}");
    }
    assert_eq!(s3.put("/bkt/a/b", "both").status, 200);
    assert_eq!(s3.get("/bkt/a/b/c").text(), "a/b/c");
    let too_long = format!("/bkt/{}", "x".repeat(1025));
    assert_eq!(s3.put(&too_long, "").error(), (400, "KeyTooLongError".to_owned()));
    let encoded = s3.list("bkt", &[("encoding-type", "url"), ("prefix", "a b")]);
    assert_eq!(encoded.all("Key"), ["a%20b%2Bc%25%26%3D%3F"]);
}

#[test]
fn lists_page_exactly() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    let mut keys: Vec<_> = (0..25).map(|n| format!("p/{n:02}/x")).chain(["a".into(), "z".into()]).collect();
    for key in keys.iter().rev() {
        s3.put(&format!("/bkt/{key}"), "");
    }
    keys.sort();
    let (mut seen, mut token) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("max-keys", "10")];
        query.extend(token.as_deref().map(|token| ("continuation-token", token)));
        let page = s3.list("bkt", &query);
        assert_eq!(page.one("KeyCount").unwrap(), page.all("Key").len().to_string());
        seen.extend(page.all("Key"));
        token = page.one("NextContinuationToken");
        assert_eq!(page.one("IsTruncated").unwrap(), token.is_some().to_string());
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, keys);
    let top = s3.list("bkt", &[("delimiter", "/")]);
    assert_eq!((top.all("Key"), top.all("Prefix")), (vec!["a".into(), "z".into()], vec!["".to_owned(), "p/".into()]));
    assert_eq!(s3.list("bkt", &[("start-after", "p/24/x")]).all("Key"), ["z"]);
    assert_eq!(s3.list("bkt", &[("max-keys", "0")]).one("IsTruncated").unwrap(), "false");

    let v1 = [("max-keys", "2"), ("prefix", "p/"), ("delimiter", "/")];
    let first = s3.send(&Request { method: "GET", path: "/bkt", query: &v1, ..Request::default() }).unwrap();
    assert_eq!(first.one("NextMarker").unwrap(), "p/01/");
    let v1 = [("marker", "p/01/"), ("prefix", "p/"), ("delimiter", "/"), ("max-keys", "2")];
    let next = s3.send(&Request { method: "GET", path: "/bkt", query: &v1, ..Request::default() }).unwrap();
    assert_eq!(next.all("Prefix"), ["p/", "p/02/", "p/03/"]);
}

#[test]
fn many_are_deleted_at_once_missing_ones_too() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    s3.put("/bkt/x", "");
    s3.put("/bkt/y", "");
    let body = "<Delete><Object><Key>x</Key></Object><Object><Key>none</Key></Object></Delete>";
    let query = [("delete", "")];
    let request = Request { method: "POST", path: "/bkt", query: &query, body: body.as_bytes(), ..Request::default() };
    let answer = s3.send(&request).unwrap();
    assert_eq!((answer.status, answer.all("Key")), (200, vec!["x".to_owned(), "none".into()]));
    assert_eq!(s3.list("bkt", &[]).all("Key"), ["y"]);
    assert_eq!(s3.delete("/bkt").error(), (409, "BucketNotEmpty".to_owned()));
    s3.delete("/bkt/y");
    assert_eq!(s3.delete("/bkt").status, 204);
    assert_eq!(s3.head("/bkt").status, 404);
}

#[test]
fn multipart_uploads() {
    let mut server = Server::start();
    let mut s3 = server.bucket("bkt");
    let post = |s3: &mut support::Client, query: &[(&str, &str)], body: &str| {
        s3.send(&Request { method: "POST", path: "/bkt/big", query, body: body.as_bytes(), ..Request::default() })
            .unwrap()
    };
    let id = post(&mut s3, &[("uploads", "")], "").one("UploadId").unwrap();
    let parts = [vec![1_u8; PART_MIN as usize], vec![2_u8; PART_MIN as usize], vec![3_u8; 10]];
    let mut named = String::new();
    for (at, part) in parts.iter().enumerate() {
        let number = (at + 1).to_string();
        let query = [("partNumber", number.as_str()), ("uploadId", &id)];
        let request = Request { method: "PUT", path: "/bkt/big", query: &query, body: part, ..Request::default() };
        let etag = s3.send(&request).unwrap().headers["etag"].clone();
        named += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    server.restart();
    let mut s3 = server.client();
    let query = [("uploadId", id.as_str())];
    let listed = s3.send(&Request { method: "GET", path: "/bkt/big", query: &query, ..Request::default() }).unwrap();
    assert_eq!(listed.all("PartNumber"), ["1", "2", "3"]);
    let uploads = [("uploads", "")];
    let listed = s3.send(&Request { method: "GET", path: "/bkt", query: &uploads, ..Request::default() }).unwrap();
    assert_eq!(listed.all("UploadId"), [id.as_str()]);
    assert_eq!(s3.head("/bkt/big").status, 404);
    let wrong =
        "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\"00\"</ETag></Part></CompleteMultipartUpload>";
    assert_eq!(post(&mut s3, &query, wrong).error(), (400, "InvalidPart".to_owned()));
    let done = post(&mut s3, &query, &format!("<CompleteMultipartUpload>{named}</CompleteMultipartUpload>"));
    assert_eq!(done.status, 200, "{}", done.text());
    assert!(done.one("ETag").unwrap().ends_with("-3\""));
    assert_eq!(s3.get("/bkt/big").body, parts.concat());

    let id = post(&mut s3, &[("uploads", "")], "").one("UploadId").unwrap();
    let query = [("uploadId", id.as_str())];
    let abort = Request { method: "DELETE", path: "/bkt/big", query: &query, ..Request::default() };
    assert_eq!(s3.send(&abort).unwrap().status, 204);
    assert_eq!(s3.send(&abort).unwrap().error(), (404, "NoSuchUpload".to_owned()));
}

#[test]
fn copies_keep_what_was_said_about_the_object() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    let headers = [("content-type", "text/x-test"), ("x-amz-meta-owner", "me")];
    s3.send(&Request { method: "PUT", path: "/bkt/a", headers: &headers, body: b"data", ..Request::default() })
        .unwrap();
    let copy = [("x-amz-copy-source", "/bkt/a")];
    let answer = s3.send(&Request { method: "PUT", path: "/bkt/c", headers: &copy, ..Request::default() }).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    let copied = s3.get("/bkt/c");
    assert_eq!(copied.text(), "data");
    assert_eq!(
        (copied.headers["content-type"].as_str(), copied.headers["x-amz-meta-owner"].as_str()),
        ("text/x-test", "me")
    );
}

#[test]
fn only_one_of_many_creates_an_object() {
    let server = Server::start();
    server.bucket("bkt");
    let created = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..8)
            .map(|n| {
                let mut s3 = server.client();
                scope.spawn(move || {
                    let (headers, body) = ([("if-none-match", "*")], n.to_string());
                    let request = Request {
                        method: "PUT",
                        path: "/bkt/lock",
                        headers: &headers,
                        body: body.as_bytes(),
                        ..Request::default()
                    };
                    s3.send(&request).unwrap().error()
                })
            })
            .collect();
        let ends = tries.into_iter().map(|run| run.join().unwrap());
        ends.filter(|end| match end.0 {
            200 => true,
            _ => {
                assert_eq!(*end, (412, "PreconditionFailed".to_owned()));
                false
            }
        })
        .count()
    });
    assert_eq!(created, 1);
}

#[test]
fn a_wrong_signature_key_region_body_or_none_at_all_is_refused() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    let right = s3.keys.clone();
    s3.keys = Keys { secret_key: "wrong".into(), ..right.clone() };
    assert_eq!(s3.get("/bkt/x").error(), (403, "SignatureDoesNotMatch".to_owned()));
    s3.keys = Keys { access_key: "unknown".into(), ..right.clone() };
    assert_eq!(s3.get("/bkt/x").error(), (403, "InvalidAccessKeyId".to_owned()));
    s3.keys = right;
    s3.region = "eu-west-9".into();
    assert_eq!(s3.get("/bkt/x").error(), (400, "AuthorizationHeaderMalformed".to_owned()));
    s3.region = "us-east-1".into();
    let request = Request { method: "PUT", path: "/bkt/x", body: b"data", ..Request::default() };
    assert_eq!(s3.send_signed(&request, &[]).unwrap().error(), (403, "AccessDenied".to_owned()));
    let signed = s3.authorization(&Request { body: b"else", ..request.clone() });
    assert_ne!(s3.send_signed(&request, &signed).unwrap().status, 200);
    assert_eq!(s3.head("/bkt/x").status, 404);
    let headers = [("content-md5", "XUFAKrxLKna5cZ2REBfFkg==")];
    let request =
        Request { method: "PUT", path: "/bkt/x", headers: &headers, body: b"not hello", ..Request::default() };
    assert_eq!(s3.send(&request).unwrap().error(), (400, "BadDigest".to_owned()));
}

#[test]
fn both_uri_styles() {
    let server = Server::start_with(|config| config.hostname = "s3.test".to_owned());
    let mut s3 = server.bucket("bkt");
    s3.put("/bkt/k", "data");
    s3.host = format!("bkt.s3.test:{}", server.port());
    assert_eq!(s3.get("/k").text(), "data");
    s3.host = format!("s3.test:{}", server.port());
    assert_eq!(s3.get("/bkt/k").text(), "data");
}

#[test]
fn new_keys_hold_at_once_and_old_ones_no_more() {
    let server = Server::start();
    let mut old = server.bucket("bkt");
    let keys = Keys::rotate(&server.home).unwrap();
    support::wait_until("the old keys are refused", || old.head("/bkt").status == 403);
    old.keys = keys;
    assert_eq!(old.head("/bkt").status, 200);
}

#[test]
fn memory_does_not_grow_with_objects() {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    s3.put("/bkt/warm", vec![1; 1 << 20]);
    let before = server.memory();
    let data = vec![7; 200 << 20];
    assert_eq!(s3.put("/bkt/large", &data).status, 200);
    assert!(s3.get("/bkt/large").body == data);
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 30 << 10, "grew by {grown} KiB");
}
