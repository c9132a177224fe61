//! The adapters of the cluster store against etcd itself, on a loopback address of each test: claims, who may enter, members
//! that come. What units do with them is for the scenarios.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests start etcd and look at what it says")]

use std::fs::File;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pg_backup_agent::cluster::{Claimed, Credentials, Etcd, EtcdError, EtcdMember};
use pg_backup_agent::secrets::SecretString;
use pg_backup_agent::sys::http::{HttpClient, Method, Request};
use serde_json::{Value, json};

const KEY: &str = "/test/claim";
const LONG: Duration = Duration::from_secs(60);
/// The shortest that etcd grants, whatever is asked for.
const SHORT: Duration = Duration::from_secs(2);
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

mod claims {
    use super::*;

    #[tokio::test]
    async fn one_holds_it_until_it_is_released() {
        let server = Server::alone().await;
        let (a, b) = (server.entered().await, server.client());
        let claim = ours(a.claim(KEY, "a", LONG).await);
        assert_eq!(a.get(KEY).await.unwrap().as_deref(), Some("a"));
        assert_eq!(b.claim(KEY, "b", LONG).await.unwrap(), Claimed::Theirs("a".to_owned()));
        // One unit's two processes are two, as well.
        assert_eq!(a.claim(KEY, "a", LONG).await.unwrap(), Claimed::Theirs("a".to_owned()));
        a.rewrite(&claim, "a, half").await.unwrap();
        a.keep(&claim).await.unwrap();
        assert_eq!(b.claim(KEY, "b", LONG).await.unwrap(), Claimed::Theirs("a, half".to_owned()));
        a.release(&claim).await.unwrap();
        assert_eq!(a.get(KEY).await.unwrap(), None);

        // Whoever held it before can neither keep nor change what is another's now.
        let theirs = ours(b.claim(KEY, "b", LONG).await);
        assert!(a.keep(&claim).await.unwrap_err().says("the claim has ended"));
        assert!(a.rewrite(&claim, "a").await.unwrap_err().says("lease not found"));
        assert!(a.release(&claim).await.is_err());
        assert_eq!(a.get(KEY).await.unwrap().as_deref(), Some("b"));
        b.keep(&theirs).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_nobody_keeps_runs_out() {
        let server = Server::alone().await;
        let etcd = server.entered().await;
        let kept = ours(etcd.claim("/test/kept", "a", SHORT).await);
        let left = ours(etcd.claim(KEY, "a", SHORT).await);
        until("the claim has run out", async || {
            etcd.keep(&kept).await.unwrap();
            etcd.get(KEY).await.unwrap().is_none()
        })
        .await;
        assert!(etcd.keep(&left).await.is_err());
        ours(etcd.claim(KEY, "b", SHORT).await);
        assert_eq!(etcd.get("/test/kept").await.unwrap().as_deref(), Some("a"));
    }

    fn ours(claimed: Result<Claimed, EtcdError>) -> pg_backup_agent::cluster::Claim {
        match claimed.unwrap() {
            Claimed::Ours(claim) => claim,
            Claimed::Theirs(holder) => panic!("{holder} holds it"),
        }
    }
}

mod keys {
    use super::*;

    #[tokio::test]
    async fn one_is_written_only_by_who_has_seen_what_stands_there() {
        let server = Server::alone().await;
        let (a, b) = (server.entered().await, server.client());
        assert_eq!(a.get_with_revision(KEY).await.unwrap(), None);
        let first = a.put_if(KEY, "first", None).await.unwrap().expect("nothing stood there");
        assert_eq!(b.put_if(KEY, "another first", None).await.unwrap(), None);
        assert_eq!(b.get_with_revision(KEY).await.unwrap(), Some(("first".to_owned(), first.clone())));
        // The same text is another change.
        let again = b.put_if(KEY, "first", Some(&first)).await.unwrap().expect("nobody was faster");
        assert_ne!(again, first);
        assert_eq!(a.put_if(KEY, "second", Some(&first)).await.unwrap(), None);
        a.put(KEY, "whatever").await.unwrap();
        assert_eq!(b.put_if(KEY, "third", Some(&again)).await.unwrap(), None);
        assert_eq!(a.get(KEY).await.unwrap().as_deref(), Some("whatever"));
    }

    #[tokio::test]
    async fn all_below_a_beginning_are_told_in_order() {
        let server = Server::alone().await;
        let etcd = server.entered().await;
        assert_eq!(etcd.values_below("/test/part/").await.unwrap(), Vec::<String>::new());
        for (key, value) in [("/test/part/b", "2"), ("/test/part/a", "1"), ("/test/parts", "no"), ("/test/par", "no")] {
            etcd.put(key, value).await.unwrap();
        }
        assert_eq!(etcd.values_below("/test/part/").await.unwrap(), ["1", "2"]);
        assert_eq!(etcd.names_below("/test/part/").await.unwrap(), ["a", "b"]);
    }

    #[tokio::test]
    async fn they_are_read_and_deleted_by_name_and_by_beginning() {
        let server = Server::alone().await;
        let etcd = server.entered().await;
        for key in ["/a/b", "/a/b/c", "/a/bc", "/a/c"] {
            assert!(matches!(etcd.claim(key, "schlüssel \"1\"\n", LONG).await, Ok(Claimed::Ours(_))));
        }
        assert_eq!(etcd.get("/a/b").await.unwrap().as_deref(), Some("schlüssel \"1\"\n"));
        assert_eq!(etcd.get("/a").await.unwrap(), None);
        etcd.delete("/a/b").await.unwrap();
        etcd.delete("/a/b").await.unwrap();
        etcd.delete_below("/a/b/").await.unwrap();
        let left = async |key: &str| etcd.get(key).await.unwrap().is_some();
        assert_eq!(
            [left("/a/b").await, left("/a/b/c").await, left("/a/bc").await, left("/a/c").await],
            [false, false, true, true]
        );
    }
}

mod access {
    use super::*;

    #[tokio::test]
    async fn nobody_enters_without_the_password() {
        let server = Server::alone().await;
        assert_eq!(server.client().get(KEY).await.unwrap(), None);
        let etcd = server.entered().await;
        // Every hook asks for it.
        etcd.ensure_access(&[]).await.unwrap();
        assert_eq!(etcd.get(KEY).await.unwrap(), None);
        let wrong = server.client_as(member("1", "wrong"));
        for error in [wrong.get(KEY).await.unwrap_err(), wrong.ensure_access(&[]).await.unwrap_err()] {
            assert!(error.says("invalid user ID or password"), "{error}");
        }
        let error = server.post("kv/range", json!({"key": "YQ=="})).await["message"].clone();
        assert_eq!(error, "etcdserver: user name is empty");
        assert!(server.client_as(member("2", "unknown")).ensure_access(&[member("1", "wrong")]).await.is_err());
    }

    #[tokio::test]
    async fn the_old_password_works_until_all_have_changed_over() {
        let server = Server::alone().await;
        let (old, new) = (member("1", "one"), member("2", "two"));
        let before = server.entered().await;
        let after = server.client_as(new.clone());
        after.ensure_access(&[member("0", "never was"), old.clone()]).await.unwrap();
        // The other units do the same a moment later.
        server.client_as(new.clone()).ensure_access(std::slice::from_ref(&old)).await.unwrap();
        for etcd in [&before, &after, &server.client_as(old.clone()), &server.client_as(new.clone())] {
            assert_eq!(etcd.get(KEY).await.unwrap(), None);
        }
        server.client_as(root("one")).get(KEY).await.unwrap();

        after.drop_other_users().await.unwrap();
        after.drop_other_users().await.unwrap();
        after.get(KEY).await.unwrap();
        server.client_as(root("two")).get(KEY).await.unwrap();
        for ended in [server.client_as(old), server.client_as(root("one"))] {
            assert!(ended.get(KEY).await.unwrap_err().says("invalid user ID or password"));
        }
        // One that was in is out, too.
        assert!(before.get(KEY).await.is_err());
    }

    #[tokio::test]
    async fn a_cluster_store_of_release_0_1_0_is_entered_by_its_one_user() {
        let server = Server::alone().await;
        let released = server.client_as(root("one"));
        released.ensure_access(&[]).await.unwrap();
        let etcd = server.client();
        etcd.ensure_access(&[root("one")]).await.unwrap();
        etcd.get(KEY).await.unwrap();
        released.get(KEY).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_broken_off_run_left_is_gone_on_with() {
        let server = Server::alone().await;
        server.post("auth/user/add", json!({"name": "root", "password": "of another try"})).await;
        server.post("auth/role/add", json!({"name": "root"})).await;
        server.entered().await.get(KEY).await.unwrap();
        server.client_as(root("one")).get(KEY).await.unwrap();
    }
}

mod members {
    use super::*;

    #[tokio::test]
    async fn a_second_one_learns_votes_and_is_removed() {
        let (mut first, mut second) = (Server::new("a"), Server::new("b"));
        first.start_with(&first.entry(), "new");
        first.ready().await;
        let etcd = first.entered().await;
        assert_eq!(voters(&etcd.members_for_sure().await.unwrap()), ["a"]);

        let added = changed(async || etcd.add_learner(&second.peer_url()).await).await;
        let learner = added.iter().find(|member| member.learner).unwrap();
        assert_eq!((learner.name.as_str(), &learner.peer_urls), ("", &vec![second.peer_url()]));
        // One that has not started is not missed, and gets no vote.
        assert!(
            etcd.promote(&learner.id).await.unwrap_err().says("can only promote a learner member which is in sync")
        );
        etcd.get(KEY).await.unwrap();

        let all = [first.entry(), second.entry()].join(",");
        second.start_with(&all, "existing");
        let both = etcd.with_endpoints(vec![second.client_url(), first.client_url()]);
        until("the second one answers", async || both.members().await.is_ok_and(|all| all.len() == 2)).await;
        // A learner answers no question: the next one is asked.
        assert_eq!(both.get(KEY).await.unwrap(), None);
        changed(async || etcd.promote(&learner.id).await).await;
        let second_alone = etcd.with_endpoints(vec![second.client_url()]);
        until("the second one knows it", async || {
            second_alone.members_for_sure().await.is_ok_and(|all| voters(&all) == ["a", "b"])
        })
        .await;
        let claimed = second_alone.claim(KEY, "b", LONG).await.unwrap();
        assert!(matches!(claimed, Claimed::Ours(_)));
        assert_eq!(etcd.get(KEY).await.unwrap().as_deref(), Some("b"));

        changed(async || etcd.remove(&learner.id).await).await;
        assert_eq!(voters(&etcd.members_for_sure().await.unwrap()), ["a"]);
        assert!(etcd.remove(&learner.id).await.unwrap_err().says("member not found"));
    }

    #[tokio::test]
    async fn one_that_moved_is_reached_there() {
        let server = Server::alone().await;
        let etcd = server.entered().await;
        let [member] = &etcd.members().await.unwrap()[..] else { panic!("one member") };
        changed(async || etcd.set_peer_url(&member.id, "http://127.0.0.1:1").await).await;
        let moved = EtcdMember { peer_urls: vec!["http://127.0.0.1:1".to_owned()], ..member.clone() };
        assert_eq!(etcd.members_for_sure().await.unwrap(), [moved]);
        // Of a learner etcd 3.4 would forget that it is one: src/cluster/etcd/membership.rs.
    }

    #[tokio::test]
    async fn without_a_quorum_the_members_are_told_and_nothing_else() {
        let (mut first, mut second) = (Server::new("a"), Server::new("b"));
        let all = [first.entry(), second.entry()].join(",");
        first.start_with(&all, "new");
        second.start_with(&all, "new");
        first.ready().await;
        first.entered().await;
        second.kill();
        // As long as in the agent would be longer than this is worth.
        let quick = HttpClient::plain(Duration::from_secs(2)).unwrap();
        let etcd = Etcd::new(vec![first.client_url()], quick, member("1", "one"));
        assert_eq!(voters(&etcd.members().await.unwrap()), ["a", "b"]);
        assert!(etcd.members_for_sure().await.is_err());
        assert!(!etcd.healthy().await);
    }

    fn voters(members: &[EtcdMember]) -> Vec<&str> {
        let mut names: Vec<_> =
            members.iter().filter(|member| !member.learner).map(|member| member.name.as_str()).collect();
        names.sort_unstable();
        names
    }

    /// Right after a change, or a start, etcd refuses changes for some seconds.
    async fn changed<T>(change: impl AsyncFn() -> Result<T, EtcdError>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match change().await {
                Ok(done) => return done,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

mod trouble {
    use super::*;

    #[tokio::test]
    async fn one_that_is_away_is_passed_over_and_a_restart_is_not_noticed() {
        let mut server = Server::alone().await;
        let etcd = server.entered().await.with_endpoints(vec!["http://127.0.0.1:1".to_owned(), server.client_url()]);
        etcd.get(KEY).await.unwrap();
        // Tokens end with the process.
        server.kill();
        assert!(matches!(etcd.get(KEY).await, Err(EtcdError::Http(_))));
        server.start_with(&server.entry(), "new");
        server.ready().await;
        assert_eq!(etcd.get(KEY).await.unwrap(), None);
    }

    #[tokio::test]
    async fn where_no_member_is_known_nobody_is_asked() {
        let nobody = Etcd::new(Vec::new(), http(), member("1", "one"));
        assert!(!nobody.has_endpoints());
        assert!(matches!(nobody.get(KEY).await, Err(EtcdError::Nobody)));
        assert!(!nobody.healthy().await);
    }
}

/// An etcd of the test's own; it ends with it.
struct Server {
    name: &'static str,
    client: String,
    peer: String,
    folder: tempfile::TempDir,
    child: Option<Child>,
}

impl Server {
    fn new(name: &'static str) -> Self {
        let [client, peer] = free_addresses();
        Self { name, client, peer, folder: tempfile::tempdir().unwrap(), child: None }
    }

    /// A cluster store of one, that everybody may enter.
    async fn alone() -> Self {
        let mut server = Self::new("a");
        server.start_with(&server.entry(), "new");
        server.ready().await;
        server
    }

    fn client_url(&self) -> String {
        format!("http://{}", self.client)
    }

    fn peer_url(&self) -> String {
        format!("http://{}", self.peer)
    }

    fn entry(&self) -> String {
        format!("{}={}", self.name, self.peer_url())
    }

    fn start_with(&mut self, initial_cluster: &str, state: &str) {
        let (client, peer) = (self.client_url(), self.peer_url());
        // It ends with the thread of its test, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "etcd", "--name", self.name, "--logger", "zap", "--log-level", "warn"]);
        command.arg("--data-dir").arg(self.folder.path().join("data"));
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", initial_cluster, "--initial-cluster-state", state]);
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("setpriv and etcd are installed: make deps"));
    }

    fn log(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    async fn ready(&self) {
        let etcd = self.client();
        let deadline = Instant::now() + PATIENCE;
        while !etcd.healthy().await {
            assert!(Instant::now() < deadline, "{}", std::fs::read_to_string(self.log()).unwrap_or_default());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn client_as(&self, credentials: Credentials) -> Etcd {
        Etcd::new(vec![self.client_url()], http(), credentials)
    }

    fn client(&self) -> Etcd {
        self.client_as(member("1", "one"))
    }

    /// With authentication turned on.
    async fn entered(&self) -> Etcd {
        let etcd = self.client();
        etcd.ensure_access(&[]).await.unwrap();
        etcd
    }

    /// As somebody who has no password.
    async fn post(&self, path: &str, body: Value) -> Value {
        let request = Request::builder().method(Method::POST).uri(format!("{}/v3/{path}", self.client_url()));
        let answer = http().send(request.body(body.to_string().into_bytes().into()).unwrap()).await.unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// On an address of this process's own in 127.0.0.0/8, away from those that units have.
fn free_addresses() -> [String; 2] {
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = format!("127.123.{high}.{}", low.max(1));
    [(); 2].map(|()| TcpListener::bind((host.as_str(), 0)).unwrap()).map(|free| free.local_addr().unwrap().to_string())
}

fn http() -> HttpClient {
    HttpClient::plain(Duration::from_secs(6)).unwrap()
}

fn member(tag: &str, password: &str) -> Credentials {
    Credentials::of(tag, SecretString::from(password))
}

fn root(password: &str) -> Credentials {
    Credentials::root(SecretString::from(password))
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
