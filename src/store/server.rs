//! A scripted HTTP server on loopback, for this room's tests: answers what it is
//! told to and remembers every request. Not a model of S3's rules.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::settings::{Endpoint, S3Settings, UriStyle};
use crate::store::Store;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// `GET /bucket/key?list-type=2`
    pub line: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Seen {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    },
    /// Reads the request and says nothing.
    Stall,
    /// Reads the request and hangs up.
    HangUp,
}

impl Reply {
    pub fn new(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.into() }
    }

    pub fn with_header(self, name: &str, value: &str) -> Self {
        match self {
            Self::Answer { status, mut headers, body } => {
                headers.push((name.to_owned(), value.to_owned()));
                Self::Answer { status, headers, body }
            }
            other => other,
        }
    }
}

/// Runs until the test's process ends.
pub struct Server {
    port: u16,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn scripted(replies: Vec<Reply>) -> Self {
        let mut replies = replies.into_iter();
        Self::start(move |_| replies.next().unwrap_or_else(|| Reply::new(418, "not in the script")))
    }

    pub fn start(mut answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let remembered = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut stalled = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let Some(request) = read(&stream) else { continue };
                let reply = answer(&request);
                remembered.lock().unwrap().push(request);
                match reply {
                    Reply::Answer { status, headers, body } => write(stream, status, &headers, &body),
                    Reply::Stall => stalled.push(stream),
                    Reply::HangUp => drop(stream),
                }
            }
        });
        Self { port, seen }
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }

    /// Bucket `backups`, path `/pg`, path style, region unknown.
    pub fn settings(&self) -> S3Settings {
        S3Settings {
            bucket: "backups".to_owned(),
            endpoint: Endpoint { https: false, host: "127.0.0.1".to_owned(), port: Some(self.port) },
            region: None,
            path: "/pg".to_owned(),
            uri_style: UriStyle::Path,
            access_key: "AKCANARY".into(),
            secret_key: "secret-canary".into(),
            session_token: None,
            ca_chain: None,
            storage_class: None,
            retention_days: None,
        }
    }

    pub fn store(&self) -> Store {
        Store::open(&self.settings()).unwrap()
    }
}

/// Objects in memory: put, get, delete, list in one page.
pub fn memory(objects: &[(&str, &str)]) -> impl FnMut(&Seen) -> Reply + Send + use<> {
    let mut objects: BTreeMap<String, Vec<u8>> =
        objects.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect();
    move |seen| {
        let (method, target) = seen.line.split_once(' ').unwrap();
        let target = target.replace("%3A", ":").replace("%2F", "/");
        match (method, target.split_once('?')) {
            ("GET", Some((bucket, query))) => Reply::new(200, &listing(&objects, bucket, query)),
            ("GET", None) => match objects.get(&target) {
                Some(body) => Reply::Answer { status: 200, headers: Vec::new(), body: body.clone() },
                None => Reply::new(404, "<Error><Code>NoSuchKey</Code></Error>"),
            },
            ("PUT", _) if !seen.header("if-none-match").is_empty() && objects.contains_key(&target) => {
                Reply::new(412, "<Error><Code>PreconditionFailed</Code></Error>")
            }
            ("PUT", _) => {
                objects.insert(target, seen.body.clone());
                Reply::new(200, "")
            }
            ("DELETE", _) => {
                objects.remove(&target);
                Reply::new(204, "")
            }
            _ => Reply::new(501, ""),
        }
    }
}

fn listing(objects: &BTreeMap<String, Vec<u8>>, bucket: &str, query: &str) -> String {
    let param = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap_or_default();
    let (prefix, delimiter) = (param("prefix="), param("delimiter="));
    let mut inside = String::new();
    let mut folders = std::collections::BTreeSet::new();
    for (path, body) in objects {
        let Some(key) = path.strip_prefix(bucket).and_then(|key| key.strip_prefix('/')) else { continue };
        let Some(rest) = key.strip_prefix(prefix) else { continue };
        match rest.split_once('/') {
            Some((folder, _)) if !delimiter.is_empty() => {
                folders.insert(format!("{prefix}{folder}/"));
            }
            _ => inside.push_str(&contents(key, body.len())),
        }
    }
    inside.extend(folders.iter().map(|folder| format!("<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>")));
    page("<IsTruncated>false</IsTruncated>", &inside)
}

pub fn contents(key: &str, size: usize) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2026-11-22T03:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
    )
}

pub fn page(head: &str, inside: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{head}{inside}</ListBucketResult>"
    )
}

fn read(stream: &TcpStream) -> Option<Seen> {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let headers: BTreeMap<_, _> = lines[1..]
        .iter()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen { line: lines[0].trim_end_matches(" HTTP/1.1").to_owned(), headers, body })
}

fn write(mut stream: TcpStream, status: u16, headers: &[(String, String)], body: &[u8]) {
    let mut head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n");
    if status != 204 {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).and_then(|()| stream.write_all(body));
}
