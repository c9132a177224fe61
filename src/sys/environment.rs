//! The environment and argv we were started with, read once in `main` and
//! passed on as an argument.
#![allow(clippy::disallowed_methods, reason = "this is the edge the lint keeps others away from")]

use std::collections::BTreeMap;

pub type Vars = BTreeMap<String, String>;

/// Variables that are not UTF-8 are none that Juju sets.
pub fn vars() -> Vars {
    std::env::vars_os().filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?))).collect()
}

pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Random bytes from the kernel.
pub fn random(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(std::io::Error::other)
}

/// Random hex digits for names of requests and restores.
pub fn random_hex(digits: usize) -> std::io::Result<String> {
    let mut bytes = vec![0; digits.div_ceil(2)];
    random(&mut bytes)?;
    let mut text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(digits);
    Ok(text)
}

/// The program that runs, wherever it was started from.
pub fn own_program() -> std::io::Result<std::path::PathBuf> {
    std::env::current_exe()
}

/// argv, whatever is not UTF-8 replaced.
pub fn args() -> Vec<String> {
    std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}
