//! The program behind every fake name: finds its script, records the call, gives the answer.
#![allow(clippy::disallowed_methods, reason = "a test tool of its own, outside the agent's walls")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::{env, ffi::OsString, process};

use fakes::script::{CALLS_FILE, Call, FORMAT, SCRIPT_FILE, Script, Step, UNEXPECTED, shown};

fn main() {
    process::exit(play().unwrap_or_else(|err| {
        eprintln!("fake: {err}");
        UNEXPECTED
    }));
}

fn play() -> io::Result<i32> {
    let program = executed_path()?;
    let dir = program.parent().unwrap_or(Path::new("/"));
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let script = fs::read(dir.join(SCRIPT_FILE))?;
    let script: Script = serde_json::from_slice(&script)?;
    if script.format != FORMAT {
        return Err(io::Error::other("built from other sources: run `cargo build -p fakes`"));
    }
    let args = env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    let (call, made) = record(dir, &script, name, args.collect())?;
    match call.step {
        Some(index) => answer(&script.steps[index]),
        None => Ok(refuse(&script, &call, &made)),
    }
}

/// Decides and writes under one lock: two programs at once never meet the same expectation.
fn record(dir: &Path, script: &Script, program: String, args: Vec<String>) -> io::Result<(Call, Vec<Call>)> {
    let mut log = OpenOptions::new().read(true).append(true).open(dir.join(CALLS_FILE))?;
    log.lock()?;
    let mut text = String::new();
    log.read_to_string(&mut text)?;
    let made = text.lines().map(serde_json::from_str).collect::<Result<Vec<Call>, _>>()?;
    let fitting = script.candidates(&made, &program, &args);
    let stdin = match fitting.iter().any(|&index| script.steps[index].stdin.is_some()) {
        true => Some(io::read_to_string(io::stdin())?),
        false => None,
    };
    let step = fitting.into_iter().find(|&index| script.steps[index].hears(stdin.as_deref()));
    let call = Call { program, args, stdin, step };
    log.write_all(format!("{}\n", serde_json::to_string(&call)?).as_bytes())?;
    Ok((call, made))
}

fn answer(step: &Step) -> io::Result<i32> {
    for (path, contents) in &step.writes {
        fs::write(path, contents)?;
    }
    io::stdout().write_all(step.stdout.as_bytes())?;
    io::stderr().write_all(step.stderr.as_bytes())?;
    Ok(step.exit)
}

fn refuse(script: &Script, call: &Call, made: &[Call]) -> i32 {
    eprintln!("fake: unexpected call: {}", shown(&call.program, &call.args));
    if let Some(stdin) = &call.stdin {
        eprintln!("fake:   with standard input {stdin:?}");
    }
    for expected in script.never_made(made) {
        eprintln!("fake:   still expected: {expected}");
    }
    UNEXPECTED
}

/// The path given to execve (AT_EXECFN), that is the symlink in the script's directory. argv[0] often
/// has no directory, PATH may be cleared, and /proc/self/exe names the target of the symlink.
fn executed_path() -> io::Result<PathBuf> {
    const AT_EXECFN: usize = 31;
    const WORD: usize = size_of::<usize>();
    let auxv = fs::read("/proc/self/auxv")?;
    let words: Vec<usize> =
        auxv.chunks_exact(WORD).map(|bytes| usize::from_ne_bytes(bytes.try_into().unwrap_or_default())).collect();
    let entry = words.chunks_exact(2).find(|entry| entry[0] == AT_EXECFN);
    let address = entry.ok_or_else(|| io::Error::other("no AT_EXECFN"))?[1];
    let memory = File::open("/proc/self/mem")?;
    let mut path = Vec::new();
    let mut byte = [0];
    while memory.read_exact_at(&mut byte, (address + path.len()) as u64).is_ok() && byte[0] != 0 {
        path.push(byte[0]);
    }
    Ok(env::current_dir()?.join(OsString::from_vec(path)))
}
