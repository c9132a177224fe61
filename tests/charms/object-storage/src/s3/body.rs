//! Object data between the network and files, in pieces: memory does not grow with the object.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{Stream, StreamExt};
use s3s::dto::StreamingBlob;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{S3Error, S3Result, StdError, s3_error};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::store::Writer;

const PIECE: usize = 256 << 10;
const BATCH: usize = 1 << 20;

/// Writes a request's body. While one batch goes to disk the next one comes in.
pub(super) async fn receive(mut writer: Writer, body: Option<StreamingBlob>) -> S3Result<Writer> {
    let Some(mut body) = body else { return Ok(writer) };
    let mut batch = Vec::new();
    let mut held = 0;
    let mut writing: Option<JoinHandle<io::Result<Writer>>> = None;
    let mut idle = Some(writer);
    loop {
        let chunk = body.next().await.transpose().map_err(broken_body)?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            held += chunk.len();
            batch.push(chunk);
        }
        if held < BATCH && !ended {
            continue;
        }
        writer = match (idle.take(), writing.take()) {
            (Some(writer), _) => writer,
            (None, Some(writing)) => written(writing).await?,
            (None, None) => return Err(s3_error!(InternalError)),
        };
        let full = std::mem::take(&mut batch);
        held = 0;
        let job = spawn_blocking(move || {
            full.iter().try_for_each(|chunk| writer.write(chunk))?;
            Ok(writer)
        });
        if ended {
            return written(job).await;
        }
        writing = Some(job);
    }
}

async fn written(job: JoinHandle<io::Result<Writer>>) -> S3Result<Writer> {
    job.await.map_err(S3Error::internal_error)?.map_err(|err| s3_error!(InternalError, "writing: {err}"))
}

/// The signature check of the body speaks through its stream: keep its word (a wrong checksum is a 400).
fn broken_body(err: StdError) -> S3Error {
    match err.downcast::<S3Error>() {
        Ok(refusal) => *refusal,
        Err(err) => s3_error!(IncompleteBody, "reading the body: {err}"),
    }
}

/// A range of a file as a response body.
pub(super) struct FileBody {
    file: Arc<File>,
    at: u64,
    end: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl FileBody {
    /// Small ranges are read at once; this is to be called where it may block.
    pub(super) fn open(file: File, range: std::ops::Range<u64>) -> io::Result<StreamingBlob> {
        let (file, at, end) = (Arc::new(file), range.start, range.end);
        if end - at <= PIECE as u64 {
            return Ok(s3s::Body::from(piece(&file, at, end)?).into());
        }
        Ok(StreamingBlob::new(Self { file, at, end, reading: None }))
    }
}

fn piece(file: &File, at: u64, end: u64) -> io::Result<Bytes> {
    let wanted = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
    let mut buffer = vec![0; wanted];
    file.read_exact_at(&mut buffer, at)?;
    Ok(buffer.into())
}

impl Stream for FileBody {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.at == self.end && self.reading.is_none() {
            return Poll::Ready(None);
        }
        let (file, at, end) = (Arc::clone(&self.file), self.at, self.end);
        let reading = self.reading.get_or_insert_with(|| spawn_blocking(move || piece(&file, at, end)));
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        match read.map_err(io::Error::other).flatten() {
            Ok(bytes) => {
                self.at += bytes.len() as u64;
                Poll::Ready(Some(Ok(bytes)))
            }
            Err(err) => {
                self.at = self.end;
                Poll::Ready(Some(Err(Box::new(err))))
            }
        }
    }
}

impl ByteStream for FileBody {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(usize::try_from(self.end - self.at).unwrap_or(usize::MAX))
    }
}
