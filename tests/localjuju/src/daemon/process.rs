//! Runs one process of the charm and collects what it says. Decides nothing about what the end means.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{network, reap};

/// How long the pipes are read after the process has ended. Children that keep them open lose what they say later.
const GRACE: Duration = Duration::from_millis(100);
/// Longer lines are split.
const LINE: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    Code(i32),
    Signal(i32),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

pub(super) struct Output {
    pub(super) end: End,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
}

pub(super) struct Running {
    child: Child,
    exited: Arc<AtomicBool>,
    readers: Vec<thread::JoinHandle<Vec<u8>>>,
}

/// `program` is run without arguments, or `arguments` for commands; no standard input; nothing of our environment;
/// in the machine's network namespace if it has one.
pub(super) fn start(
    program: &Path,
    arguments: &[String],
    directory: &Path,
    namespace: Option<&str>,
    variables: Vec<(String, String)>,
    line: impl Fn(Stream, &str) + Send + Sync + 'static,
) -> std::io::Result<Running> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).env_clear().envs(variables);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match namespace {
        Some(namespace) => network::spawn(namespace, &mut command)?,
        None => reap::spawn(&mut command)?,
    };
    let exited = Arc::new(AtomicBool::new(false));
    let line = Arc::new(line);
    let mut readers = Vec::new();
    if let Some(pipe) = child.stdout.take() {
        let (exited, line) = (Arc::clone(&exited), Arc::clone(&line));
        readers.push(thread::spawn(move || collect(pipe, &exited, |text| line(Stream::Out, text))));
    }
    if let Some(pipe) = child.stderr.take() {
        let (exited, line) = (Arc::clone(&exited), Arc::clone(&line));
        readers.push(thread::spawn(move || collect(pipe, &exited, |text| line(Stream::Err, text))));
    }
    Ok(Running { child, exited, readers })
}

fn collect<P: std::io::Read + std::os::fd::AsFd>(mut pipe: P, exited: &AtomicBool, line: impl Fn(&str)) -> Vec<u8> {
    let (mut all, mut rest) = (Vec::new(), Vec::new());
    let mut buffer = [0_u8; 8192];
    let mut deadline = None;
    loop {
        if exited.load(Ordering::Acquire) {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + GRACE);
            if Instant::now() >= deadline {
                break;
            }
        }
        let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(10_u8)) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => break,
            Ok(_) => {}
        }
        match pipe.by_ref().read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => {
                all.extend_from_slice(&buffer[..count]);
                rest.extend_from_slice(&buffer[..count]);
                while let Some(end) =
                    rest.iter().position(|byte| *byte == b'\n').or((rest.len() >= LINE).then_some(LINE - 1))
                {
                    let text: Vec<u8> = rest.drain(..=end).collect();
                    line(String::from_utf8_lossy(&text).trim_end_matches('\n'));
                }
            }
        }
    }
    if !rest.is_empty() {
        line(&String::from_utf8_lossy(&rest));
    }
    all
}

impl Running {
    pub(super) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap_or(-1)
    }

    pub(super) fn wait(mut self) -> std::io::Result<Output> {
        let status = self.child.wait();
        reap::forget(self.child.id());
        self.exited.store(true, Ordering::Release);
        let mut streams = self.readers.into_iter().map(|reader| reader.join().unwrap_or_default());
        let (stdout, stderr) = (streams.next().unwrap_or_default(), streams.next().unwrap_or_default());
        Ok(Output { end: end(status?), stdout, stderr })
    }
}

fn end(status: ExitStatus) -> End {
    match (status.code(), status.signal()) {
        (Some(code), _) => End::Code(code),
        (None, signal) => End::Signal(signal.unwrap_or(0)),
    }
}
