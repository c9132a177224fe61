//! How fast it is: prints figures, asserts none. `cargo test --release -p object-storage --test rates --
//! --ignored --nocapture`
#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Instant;

use support::Server;

const OBJECTS: usize = 5000;

#[test]
#[ignore = "a measurement"]
fn rates() {
    let mut server = Server::start();
    server.bucket("bkt");
    let rate = |what: &str, clients: usize, each: &(dyn Fn(&mut support::Client, usize) + Sync)| {
        let begun = Instant::now();
        std::thread::scope(|scope| {
            for first in 0..clients {
                let mut s3 = server.client();
                scope.spawn(move || (first..OBJECTS).step_by(clients).for_each(|n| each(&mut s3, n)));
            }
        });
        let rate = OBJECTS as f64 / begun.elapsed().as_secs_f64();
        println!("{what}, {clients} client(s): {rate:.0}/s");
    };
    let small = vec![7; 4096];
    let path = |n: usize| format!("/bkt/backups/archive/test/15-1/{:04}/{n:024X}", n / 100);
    println!("memory at first: {} KiB", server.memory());
    for clients in [1, 4] {
        rate("PUT 4 KiB", clients, &|s3, n| assert_eq!(s3.put(&path(n), &small).status, 200));
        rate("HEAD", clients, &|s3, n| assert_eq!(s3.head(&path(n)).status, 200));
        rate("GET 4 KiB", clients, &|s3, n| assert_eq!(s3.get(&path(n)).body.len(), 4096));
    }
    println!("memory with {OBJECTS} objects: {} KiB", server.memory());
    let mut s3 = server.client();
    for _ in 0..3 {
        let (begun, mut token, mut keys) = (Instant::now(), None::<String>, 0);
        loop {
            let mut query = vec![("prefix", "backups/")];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let page = s3.list("bkt", &query);
            keys += page.all("Key").len();
            token = page.one("NextContinuationToken");
            if token.is_none() {
                break;
            }
        }
        println!("list of {keys} keys in 5 pages: {:?}", begun.elapsed());
    }
    let begun = Instant::now();
    let page = s3.list("bkt", &[("prefix", "backups/archive/test/15-1/"), ("delimiter", "/")]);
    println!("list of {} common prefixes: {:?}", page.all("Prefix").len() - 1, begun.elapsed());
    let large = vec![9; 256 << 20];
    let begun = Instant::now();
    assert_eq!(s3.put("/bkt/large", &large).status, 200);
    println!("PUT 256 MiB: {:.0} MiB/s", 256.0 / begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    assert_eq!(s3.get("/bkt/large").body.len(), large.len());
    println!("GET 256 MiB: {:.0} MiB/s", 256.0 / begun.elapsed().as_secs_f64());
    println!("memory at the end: {} KiB", server.memory());
    let begun = Instant::now();
    server.restart();
    println!("start with {OBJECTS} objects: {:?}", begun.elapsed());
}
