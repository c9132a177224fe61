//! An S3 client of a test: signature version 4 over one kept connection, nothing hidden, no retries.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, Mac};
use object_storage::home::{Home, ServerConfig};
use object_storage::keys::Keys;
use object_storage::pki;
use object_storage::store::hex;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sha2::{Digest, Sha256};

type Stream = BufReader<StreamOwned<ClientConnection, TcpStream>>;

pub struct Client {
    pub keys: Keys,
    pub region: String,
    pub host: String,
    pub timeout: Duration,
    target: (String, u16),
    tls: Arc<ClientConfig>,
    kept: Option<Stream>,
}

#[derive(Default, Clone)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Not encoded: that is done here.
    pub path: &'a str,
    pub query: &'a [(&'a str, &'a str)],
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// The texts of all elements with this name, in order.
    pub fn all(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let parts = self.text().split(&open).skip(1);
        let text = |part: &str| part.split(&close).next().unwrap().to_owned();
        parts.map(|part| text(part).replace("&quot;", "\"").replace("&amp;", "&")).collect()
    }

    pub fn one(&self, element: &str) -> Option<String> {
        self.all(element).into_iter().next()
    }

    /// Status and S3 error code.
    pub fn error(&self) -> (u16, String) {
        (self.status, self.one("Code").unwrap_or_default())
    }
}

impl Client {
    pub fn new(home: &Home, keys: Keys) -> Self {
        let mut roots = RootCertStore::empty();
        let ca = pki::ca_pem(home).unwrap();
        roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config: ServerConfig = home.read_json("server.json").unwrap().unwrap();
        let port = home.port().unwrap();
        Self {
            keys,
            region: "us-east-1".to_owned(),
            host: format!("{}:{port}", config.address),
            timeout: Duration::from_secs(20),
            target: (config.address.to_string(), port),
            tls: Arc::new(tls.with_root_certificates(roots).with_no_client_auth()),
            kept: None,
        }
    }

    pub fn put(&mut self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send(&Request { method: "PUT", path, body: body.as_ref(), ..Request::default() }).unwrap()
    }

    pub fn get(&mut self, path: &str) -> Answer {
        self.send(&Request { method: "GET", path, ..Request::default() }).unwrap()
    }

    pub fn head(&mut self, path: &str) -> Answer {
        self.send(&Request { method: "HEAD", path, ..Request::default() }).unwrap()
    }

    pub fn delete(&mut self, path: &str) -> Answer {
        self.send(&Request { method: "DELETE", path, ..Request::default() }).unwrap()
    }

    pub fn list(&mut self, bucket: &str, query: &[(&str, &str)]) -> Answer {
        let query = [&[("list-type", "2")], query].concat();
        let path = format!("/{bucket}");
        self.send(&Request { method: "GET", path: &path, query: &query, ..Request::default() }).unwrap()
    }

    pub fn send(&mut self, request: &Request<'_>) -> io::Result<Answer> {
        self.send_signed(request, &self.authorization(request))
    }

    pub fn send_signed(&mut self, request: &Request<'_>, signed: &[(String, String)]) -> io::Result<Answer> {
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => self.connect()?,
        };
        let query = canonical_query(request.query);
        let query = if query.is_empty() { query } else { format!("?{query}") };
        let mut head = format!("{} {}{query} HTTP/1.1\r\n", request.method, encode(request.path, true));
        head += &format!("host: {}\r\ncontent-length: {}\r\n", self.host, request.body.len());
        for (name, value) in request.headers {
            head += &format!("{name}: {value}\r\n");
        }
        for (name, value) in signed {
            head += &format!("{name}: {value}\r\n");
        }
        let wire = stream.get_mut();
        wire.write_all(format!("{head}\r\n").as_bytes())?;
        wire.write_all(request.body)?;
        wire.flush()?;
        let answer = read_answer(&mut stream, request.method)?;
        if answer.headers.get("connection").is_none_or(|value| value != "close") {
            self.kept = Some(stream);
        }
        Ok(answer)
    }

    fn connect(&self) -> io::Result<Stream> {
        let stream = TcpStream::connect((self.target.0.as_str(), self.target.1))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        let name = ServerName::try_from(self.target.0.clone()).unwrap();
        let tls = ClientConnection::new(Arc::clone(&self.tls), name).unwrap();
        Ok(BufReader::with_capacity(256 << 10, StreamOwned::new(tls, stream)))
    }

    /// The headers that sign a request.
    pub fn authorization(&self, request: &Request<'_>) -> Vec<(String, String)> {
        let now = time::OffsetDateTime::now_utc();
        let date = format!("{:04}{:02}{:02}", now.year(), u8::from(now.month()), now.day());
        let at = format!("{date}T{:02}{:02}{:02}Z", now.hour(), now.minute(), now.second());
        let payload = hex(&Sha256::digest(request.body));
        let signed = "host;x-amz-content-sha256;x-amz-date";
        let canonical = format!(
            "{}\n{}\n{}\nhost:{}\nx-amz-content-sha256:{payload}\nx-amz-date:{at}\n\n{signed}\n{payload}",
            request.method,
            encode(request.path, true),
            canonical_query(request.query),
            self.host,
        );
        let scope = format!("{date}/{}/s3/aws4_request", self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let first = format!("AWS4{}", self.keys.secret_key).into_bytes();
        let parts = [date.as_str(), &self.region, "s3", "aws4_request", &to_sign];
        let signature = hex(&parts.iter().fold(first, |key, part| mac(&key, part)));
        let credential = &self.keys.access_key;
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={credential}/{scope}, SignedHeaders={signed}, Signature={signature}");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            header("x-amz-date", &at),
            header("x-amz-content-sha256", &payload),
            header("authorization", &authorization),
        ]
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn encode(text: &str, path: bool) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || (path && byte == b'/');
    let encoded = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encoded).collect()
}

fn canonical_query(query: &[(&str, &str)]) -> String {
    let mut pairs: Vec<_> = query.iter().map(|(k, v)| format!("{}={}", encode(k, false), encode(v, false))).collect();
    pairs.sort();
    pairs.join("&")
}

fn read_answer(stream: &mut Stream, method: &str) -> io::Result<Answer> {
    let mut line = String::new();
    let mut next = |stream: &mut Stream| -> io::Result<String> {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    };
    let status = next(stream)?.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = BTreeMap::new();
    loop {
        let line = next(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let mut body = Vec::new();
    if headers.get("transfer-encoding").is_some_and(|how| how == "chunked") {
        loop {
            let size = u64::from_str_radix(&next(stream)?, 16).unwrap();
            stream.take(size).read_to_end(&mut body)?;
            next(stream)?;
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length").filter(|_| method != "HEAD") {
        body = vec![0; length.parse().unwrap()];
        stream.read_exact(&mut body)?;
    }
    Ok(Answer { status, headers, body })
}
