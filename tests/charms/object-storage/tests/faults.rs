//! Every fault, as a client meets it, and that all is well after it.
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use object_storage::server::faults::Mode;
use object_storage::store::{Attributes, Condition, Damage, Store, hex};
use support::{Client, Request, Server};

fn well(s3: &mut Client) {
    assert_eq!(s3.put("/bkt/after", "x").status, 200);
    assert_eq!(s3.get("/bkt/k").text(), "data");
}

fn served() -> (Server, Client) {
    let server = Server::start();
    let mut s3 = server.bucket("bkt");
    s3.put("/bkt/k", "data");
    (server, s3)
}

#[test]
fn refusals_speak_s3() {
    let (server, mut s3) = served();
    #[rustfmt::skip]
    let table = [
        (Mode::Deny,        (403, "AccessDenied"),        (403, "AccessDenied")),
        (Mode::Unavailable, (503, "SlowDown"),            (503, "SlowDown")),
        (Mode::Full,        (507, "InsufficientStorage"), (200, "")),
    ];
    let body = vec![0; 3 << 20];
    for (mode, put, get) in table {
        server.fault(mode, 0);
        let got = s3.put("/bkt/new", &body).error();
        assert_eq!((got.0, got.1.as_str()), put, "{mode}");
        let got = s3.get("/bkt/k").error();
        assert_eq!((got.0, got.1.as_str()), get, "{mode}");
    }
    assert_eq!(s3.delete("/bkt/k").status, 204, "deleting helps when full");
    server.fault(Mode::None, 0);
    s3.put("/bkt/k", "data");
    well(&mut s3);
}

#[test]
fn refuse_closes_the_listener_and_what_is_connected() {
    let (server, mut s3) = served();
    let port = server.port();
    server.fault(Mode::Refuse, 0);
    let request = Request { method: "GET", path: "/bkt/k", ..Request::default() };
    assert!(s3.send(&request).is_err(), "the kept connection is gone");
    assert_eq!(s3.send(&request).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    server.fault(Mode::None, 0);
    assert_eq!(server.port(), port);
    well(&mut s3);
}

#[test]
fn a_server_that_starts_with_a_fault_plays_it() {
    let (mut server, mut s3) = served();
    server.fault(Mode::Refuse, 0);
    server.restart();
    assert!(!server.accepts());
    server.fault(Mode::None, 0);
    // Its connection was one of the process before.
    s3.send(&Request { method: "GET", path: "/bkt/k", ..Request::default() }).unwrap_err();
    well(&mut s3);
}

#[test]
fn stall_accepts_and_never_answers() {
    let (server, _) = served();
    server.fault(Mode::Stall, 0);
    assert!(server.accepts());
    let mut s3 = server.client();
    s3.timeout = Duration::from_millis(300);
    let answer = s3.send(&Request { method: "GET", path: "/bkt/k", ..Request::default() });
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::WouldBlock);
    server.fault(Mode::None, 0);
    well(&mut server.client());
}

#[test]
fn slow_limits_all_connections_together() {
    let (server, mut s3) = served();
    s3.put("/bkt/large", vec![1; 1 << 20]);
    server.fault(Mode::Slow, 1 << 20);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert_eq!(server.client().get("/bkt/large").body.len(), 1 << 20));
        }
    });
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(1500), "2 MiB at 1 MiB/s took {took:?}");
    assert!(took < Duration::from_secs(6), "2 MiB at 1 MiB/s took {took:?}");
    server.fault(Mode::None, 0);
    well(&mut s3);
}

#[test]
fn what_is_done_behind_its_back_shows_at_the_next_request() {
    let (server, mut s3) = served();
    let etag = s3.head("/bkt/k").headers["etag"].clone();
    let files = Store::visit(server.home.dir()).unwrap();
    files.damage("bkt", "k", Damage::Flip).unwrap();
    assert_eq!(s3.get("/bkt/k").body, [b'd', b'a', !b't', b'a']);
    files.damage("bkt", "k", Damage::Truncate).unwrap();
    let cut = s3.get("/bkt/k");
    assert_eq!((cut.text(), &cut.headers["etag"]), ("da", &etag));
    assert_eq!(s3.list("bkt", &[]).all("Size"), ["2"]);
    files.damage("bkt", "k", Damage::Delete).unwrap();
    assert_eq!(s3.head("/bkt/k").status, 404);
    assert_eq!(s3.list("bkt", &[]).all("Key"), Vec::<String>::new());
    let mut writer = files.writer().unwrap();
    writer.write(&"new".into()).unwrap();
    let etag = hex(&writer.md5());
    files.commit("bkt", "put", writer, etag, Attributes::default(), &Condition::Always).unwrap();
    files.create_bucket("cpy").unwrap();
    assert_eq!(s3.get("/bkt/put").text(), "new");
    assert_eq!(s3.head("/cpy").status, 200);
}
