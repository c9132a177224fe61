//! The faults that live below TLS: no bytes at all, or so many a second over all connections.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{cmp, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep, sleep_until};

use super::faults::{Fault, Mode};

const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// When the next byte may pass, in the mode `slow`.
pub(super) type Gate = Arc<Mutex<Option<Instant>>>;

pub(super) struct Throttled<S> {
    inner: S,
    fault: watch::Receiver<Fault>,
    gate: Gate,
    // One timer for each direction: they wait independently.
    waits: [Option<Pin<Box<Sleep>>>; 2],
}

#[derive(Clone, Copy)]
enum Way {
    In = 0,
    Out = 1,
}

impl<S: Unpin> Throttled<S> {
    pub(super) fn new(inner: S, fault: watch::Receiver<Fault>, gate: Gate) -> Self {
        Self { inner, fault, gate, waits: [None, None] }
    }

    /// How many bytes may pass now; not before there is at least one.
    fn allowance(&mut self, way: Way, cx: &mut Context<'_>) -> Poll<usize> {
        loop {
            if let Some(wait) = &mut self.waits[way as usize] {
                ready!(wait.as_mut().poll(cx));
                self.waits[way as usize] = None;
            }
            let now = Instant::now();
            let (mode, rate) = {
                let fault = self.fault.borrow();
                (fault.mode, fault.rate)
            };
            let until = match mode {
                Mode::Stall => now + LOOK_AGAIN,
                Mode::Slow => {
                    let opens = self.gate.lock().unwrap_or_else(PoisonError::into_inner).unwrap_or(now);
                    if opens <= now {
                        // A tenth of a second's worth, so that all connections get their turn.
                        return Poll::Ready(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1));
                    }
                    // Not longer, so that the end of the fault is noticed.
                    cmp::min(opens, now + LOOK_AGAIN)
                }
                _ => return Poll::Ready(usize::MAX),
            };
            self.waits[way as usize] = Some(Box::pin(sleep_until(until)));
        }
    }

    fn passed(&self, bytes: usize) {
        let fault = self.fault.borrow();
        if fault.mode == Mode::Slow {
            let mut gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let from = gate.map_or(now, |opens| cmp::max(opens, now));
            *gate = Some(from + Duration::from_secs_f64(bytes as f64 / cmp::max(fault.rate, 1) as f64));
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Throttled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let allowed = ready!(self.allowance(Way::In, cx));
        if allowed >= buf.remaining() {
            let before = buf.filled().len();
            let read = ready!(Pin::new(&mut self.inner).poll_read(cx, buf));
            self.passed(buf.filled().len() - before);
            return Poll::Ready(read);
        }
        let mut some = vec![0; allowed];
        let mut part = ReadBuf::new(&mut some);
        let read = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut part));
        self.passed(part.filled().len());
        buf.put_slice(part.filled());
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Throttled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let allowed = ready!(self.allowance(Way::Out, cx)).min(data.len());
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &data[..allowed]));
        if let Ok(bytes) = written {
            self.passed(bytes);
        }
        Poll::Ready(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
