//! The client against a real HTTP server that is told what to answer.

use std::time::{Duration, Instant};

use super::*;
use crate::settings::S3Settings;
use crate::store::StoreError;
use crate::store::pace::Pace;
use crate::store::server::{Reply, Server, contents, memory, page};

const QUICK: Pace = Pace {
    deadline: Duration::from_millis(150),
    budget: Duration::from_millis(400),
    tries: 3,
    pause: Duration::from_millis(10),
};

fn quick(server: &Server) -> Store {
    Store::open_at(&server.settings(), QUICK).unwrap()
}

fn denied() -> Reply {
    Reply::new(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
}

#[tokio::test]
async fn a_request_is_signed_with_its_body_and_shows_no_secret() {
    let server = Server::scripted(vec![Reply::new(200, "")]);
    let settings = S3Settings { session_token: Some("token-canary".into()), ..server.settings() };
    Store::open(&settings).unwrap().put("a/b c", b"hello".to_vec()).await.unwrap();
    let seen = &server.seen()[0];
    assert_eq!(seen.line, "PUT /backups/pg/a/b%20c");
    assert_eq!(seen.body, b"hello");
    let signed = seen.header("authorization");
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKCANARY/"), "{signed}");
    assert!(signed.contains("/us-east-1/s3/aws4_request"), "{signed}");
    assert!(signed.contains("host;x-amz-content-sha256;x-amz-date;x-amz-security-token"), "{signed}");
    let sha256_of_hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(seen.header("x-amz-content-sha256"), sha256_of_hello);
    assert_eq!(seen.header("x-amz-security-token"), "token-canary");
    assert!(!format!("{seen:?}").contains("secret-canary"));
}

#[tokio::test]
async fn what_is_not_there_is_an_answer_but_a_missing_bucket_is_not() {
    let no_key = || Reply::new(404, "<Error><Code>NoSuchKey</Code></Error>");
    let server = Server::scripted(vec![
        no_key(),
        no_key(),
        Reply::new(404, "<Error><Code>NoSuchBucket</Code><Message>x</Message></Error>"),
    ]);
    let store = quick(&server);
    assert_eq!(store.get("k").await.unwrap(), None);
    store.delete("k").await.unwrap();
    assert_eq!(store.get("k").await.unwrap_err().to_string(), "bucket backups: no such bucket (404)");
}

#[tokio::test]
async fn what_may_heal_is_tried_again_and_a_refusal_is_not() {
    let slow = || Reply::new(503, "<Error><Code>SlowDown</Code><Message>Reduce</Message></Error>");
    #[rustfmt::skip]
    let table = [
        (vec![slow(), slow(), Reply::new(200, "x")],           3, Ok("x")),
        (vec![Reply::HangUp, Reply::new(200, "x")],            2, Ok("x")),
        (vec![Reply::Stall, Reply::new(200, "x")],             2, Ok("x")),
        (vec![Reply::new(429, ""), Reply::new(200, "x")],      2, Ok("x")),
        (vec![slow(), slow(), slow(), slow()],                 3, Err("bucket backups: SlowDown: Reduce (503)")),
        (vec![denied(), Reply::new(200, "x")],                 1, Err("bucket backups: access denied (403)")),
        (vec![Reply::new(301, ""), Reply::new(200, "x")],      1, Err("bucket backups: the store is elsewhere (301)")),
    ];
    for (replies, tries, want) in table {
        let server = Server::scripted(replies);
        let got = quick(&server).get("k").await.map(|body| String::from_utf8(body.unwrap().to_vec()).unwrap());
        assert_eq!(got.map_err(|error| error.to_string()), want.map(ToOwned::to_owned).map_err(ToOwned::to_owned));
        assert_eq!(server.lines().len(), tries);
    }
}

#[tokio::test]
async fn a_silent_store_and_a_closed_port_end_in_time_with_their_cause() {
    let server = Server::scripted(vec![Reply::Stall, Reply::Stall, Reply::Stall, Reply::Stall]);
    let started = Instant::now();
    let error = quick(&server).get("k").await.unwrap_err();
    assert!(error.to_string().contains(": no answer within 0 s") && error.is_transient(), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut settings = server.settings();
    settings.endpoint.port = Some(closed);
    let error = Store::open_at(&settings, QUICK).unwrap().get("k").await.unwrap_err();
    assert_eq!(error.to_string(), format!("http://127.0.0.1:{closed}: connection refused"));
    assert!(error.is_transient());
}

#[tokio::test]
async fn an_unknown_region_is_learned_once_and_kept() {
    let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong; \
                     expecting 'eu-west-1'</Message><Region>eu-west-1</Region></Error>";
    let server = Server::scripted(vec![Reply::new(400, malformed), Reply::new(200, "x"), Reply::new(200, "y")]);
    let store = quick(&server);
    store.get("k").await.unwrap();
    store.get("k").await.unwrap();
    assert_eq!(store.region(), "eu-west-1");
    let signed: Vec<_> =
        server.seen().iter().map(|seen| seen.header("authorization").contains("/eu-west-1/")).collect();
    assert_eq!(signed, [false, true, true]);

    let elsewhere = Reply::new(301, "").with_header("x-amz-bucket-region", "eu-west-2");
    let server = Server::scripted(vec![elsewhere, Reply::new(200, ""), Reply::new(200, "")]);
    let store = quick(&server);
    assert_eq!(store.ensure_bucket().await.unwrap(), BucketState::Existed);
    assert_eq!(store.region(), "eu-west-2");

    let server = Server::scripted(vec![Reply::new(400, malformed)]);
    let settings = S3Settings { region: Some("us-east-1".to_owned()), ..server.settings() };
    let error = Store::open_at(&settings, QUICK).unwrap().get("k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bucket backups: AuthorizationHeaderMalformed: the region 'us-east-1' is wrong; expecting 'eu-west-1' (400)"
    );
}

#[tokio::test]
async fn a_missing_bucket_is_made_where_the_region_says() {
    let no = |status, code: &str| Reply::new(status, &format!("<Error><Code>{code}</Code></Error>"));
    let ok = || Reply::new(200, "");
    let head = || Reply::new(404, "");
    let empty = || Reply::new(200, &page("<IsTruncated>false</IsTruncated>", ""));
    #[rustfmt::skip]
    let table = [
        // region           answers                                                      requests                     result
        (None,              vec![ok()],                                                  "HEAD",                      Ok(BucketState::Existed)),
        (None,              vec![head(), ok()],                                          "HEAD PUT",                  Ok(BucketState::Created)),
        (Some("eu-west-1"), vec![head(), ok()],                                          "HEAD PUT+eu-west-1",        Ok(BucketState::Created)),
        (Some("eu-west-1"), vec![head(), no(400, "InvalidLocationConstraint"), ok()],    "HEAD PUT+eu-west-1 PUT",    Ok(BucketState::Created)),
        (None,              vec![head(), no(409, "BucketAlreadyOwnedByYou")],            "HEAD PUT",                  Ok(BucketState::Existed)),
        (Some("eu-west-1"), vec![head(), no(409, "BucketAlreadyExists")],                "HEAD PUT+eu-west-1",        Err("bucket backups: BucketAlreadyExists (409)")),
        (None,              vec![head(), denied()],                                      "HEAD PUT",                  Err("bucket backups: access denied (403)")),
        (None,              vec![Reply::new(403, ""), empty()],                          "HEAD GET",                  Ok(BucketState::Existed)),
        (None,              vec![Reply::new(403, ""), no(403, "InvalidAccessKeyId")],    "HEAD GET",                  Err("bucket backups: InvalidAccessKeyId (403)")),
        (None,              vec![Reply::new(403, ""), no(404, "NoSuchBucket"), ok()],    "HEAD GET PUT",              Ok(BucketState::Created)),
    ];
    for (region, answers, requests, want) in table {
        let server = Server::scripted(answers);
        let settings = S3Settings { region: region.map(ToOwned::to_owned), ..server.settings() };
        let got = Store::open_at(&settings, QUICK).unwrap().ensure_bucket().await;
        assert_eq!(got.map_err(|error| error.to_string()), want.map_err(ToOwned::to_owned));
        let made: Vec<String> = server
            .seen()
            .iter()
            .map(|seen| {
                let method = seen.line.split(' ').next().unwrap_or_default();
                let body = String::from_utf8_lossy(&seen.body).into_owned();
                let place = body.split_once("<LocationConstraint>").and_then(|(_, rest)| rest.split_once('<'));
                place.map_or(method.to_owned(), |(place, _)| format!("{method}+{place}"))
            })
            .collect();
        assert_eq!(made.join(" "), requests);
    }
}

#[tokio::test]
async fn put_if_absent_answers_who_was_first() {
    let none = || Reply::new(404, "");
    let failed = || Reply::new(412, "<Error><Code>PreconditionFailed</Code></Error>");
    #[rustfmt::skip]
    let table = [
        (vec![none(), Reply::new(200, "")],                             "GET PUT-if",         Ok(true)),
        (vec![Reply::new(200, "other")],                                "GET",                Ok(false)),
        (vec![none(), failed(), Reply::new(200, "other")],              "GET PUT-if GET",     Ok(false)),
        // The answer to the first try was lost: the object is ours after all.
        (vec![none(), Reply::HangUp, failed(), Reply::new(200, "mine")], "GET PUT-if PUT-if GET", Ok(true)),
        (vec![none(), Reply::new(501, ""), Reply::new(200, "")],        "GET PUT-if PUT",     Ok(true)),
        (vec![none(), Reply::new(400, "<Error><Code>NotImplemented</Code></Error>"), Reply::new(200, "")],
                                                                        "GET PUT-if PUT",     Ok(true)),
        (vec![none(), denied()],                                        "GET PUT-if",         Err("bucket backups: access denied (403)")),
    ];
    for (answers, requests, want) in table {
        let server = Server::scripted(answers);
        let got = quick(&server).put_if_absent("lock", b"mine".to_vec()).await;
        assert_eq!(got.map_err(|error| error.to_string()), want.map_err(ToOwned::to_owned));
        let made: Vec<String> = server
            .seen()
            .iter()
            .map(|seen| {
                let signed = seen.header("authorization").contains("if-none-match");
                assert_eq!(seen.header("if-none-match") == "*", signed);
                format!("{}{}", seen.line.split(' ').next().unwrap_or_default(), if signed { "-if" } else { "" })
            })
            .collect();
        assert_eq!(made.join(" "), requests);
    }
}

#[tokio::test]
async fn a_listing_is_read_to_its_last_page_and_never_taken_from_something_else() {
    let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t/1+=</NextContinuationToken>";
    let last = "<IsTruncated>false</IsTruncated>";
    let server = Server::scripted(vec![
        Reply::new(200, &page(more, &contents("pg/a", 1))),
        Reply::new(200, &page(last, &(contents("pg/b", 2) + &contents("elsewhere", 3)))),
    ]);
    let objects = quick(&server).list("").await.unwrap();
    let found: Vec<_> = objects.iter().map(|object| (object.key.as_str(), object.size)).collect();
    assert_eq!(found, [("a", 1), ("b", 2)]);
    assert_eq!(objects[0].modified.to_rfc3339(), "2026-11-22T03:00:00+00:00");
    assert_eq!(
        server.lines(),
        [
            "GET /backups?list-type=2&prefix=pg%2F",
            "GET /backups?continuation-token=t%2F1%2B%3D&list-type=2&prefix=pg%2F"
        ]
    );

    let endless = || Reply::new(200, &page(more, ""));
    let untimed = "<Contents><Key>pg/a</Key><Size>1</Size></Contents>";
    #[rustfmt::skip]
    let table = [
        (vec![Reply::new(200, "<html>Please log in</html>")],                   "a listing was asked for, something else came"),
        (vec![Reply::new(200, "")],                                             "a listing was asked for, something else came"),
        (vec![Reply::new(200, &page(last, "<Contents><Size>x</Size></Contents>"))], "a number in the listing is none"),
        (vec![Reply::new(200, &page(last, untimed))],                           "an object without size or time"),
        (vec![Reply::new(200, &page("<IsTruncated>true</IsTruncated>", ""))],   "the listing goes on, but not how"),
        (vec![endless(), endless()],                                            "the listing goes on, but not how"),
    ];
    for (answers, why) in table {
        let error = quick(&Server::scripted(answers)).list("").await.unwrap_err();
        assert_eq!(error.to_string(), format!("bucket backups: not the answer of an S3 store: {why}"));
    }
}

#[tokio::test]
async fn folders_are_names_right_below_the_prefix() {
    let server = Server::start(memory(&[
        ("/backups/pg/backup/m.a/x/y", ""),
        ("/backups/pg/backup/m.b/x", ""),
        ("/backups/pg/backup/file", ""),
    ]));
    let store = quick(&server);
    assert_eq!(store.list_folders("backup/").await.unwrap(), ["m.a", "m.b"]);
    let whole = S3Settings { path: String::new(), ..server.settings() };
    assert_eq!(Store::open(&whole).unwrap().list_folders("").await.unwrap(), ["pg"]);
}

#[tokio::test]
async fn a_store_that_quotes_our_keys_does_not_bring_them_into_a_status() {
    let quoting = "<Error><Code>SignatureDoesNotMatch</Code><Message>AKCANARY and secret-canary and token-canary\
                   </Message><StringToSign>secret-canary</StringToSign></Error>";
    let server = Server::scripted(vec![Reply::new(403, quoting)]);
    let settings = S3Settings { session_token: Some("token-canary".into()), ..server.settings() };
    let store = Store::open_at(&settings, QUICK).unwrap();
    let error = store.get("k").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "bucket backups: SignatureDoesNotMatch: [redacted] and [redacted] and [redacted] (403)"
    );
    let all = format!("{error:?} {store:?} {settings:?}").to_lowercase();
    assert!(!all.contains("canary"), "{all}");
}

#[tokio::test]
async fn a_chain_that_is_no_certificate_is_refused_before_anything_is_sent() {
    let server = Server::scripted(vec![]);
    let mut settings = S3Settings { ca_chain: Some("no PEM".to_owned()), ..server.settings() };
    settings.endpoint.https = true;
    let error = Store::open(&settings).unwrap_err();
    assert!(
        matches!(&error, StoreError::Trust { why } if why.starts_with("`tls-ca-chain` holds no usable")),
        "{error}"
    );
}
