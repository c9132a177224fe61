//! Ids made by chance: UUIDs, secret ids, context ids.

use crate::model::Time;

pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    // The kernel's generator does not fail once the machine is up; zeroes would only make ids clash, which is noticed.
    let _ = getrandom::fill(&mut bytes);
    bytes
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn uuid() -> String {
    let mut raw = bytes::<16>();
    raw[6] = (raw[6] & 0x0f) | 0x40;
    raw[8] = (raw[8] & 0x3f) | 0x80;
    let text = hex(&raw);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// An xid: 4 bytes of time, 8 of chance, in 20 letters of base32hex.
pub(crate) fn secret_id(now: Time) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";
    let mut raw = [0_u8; 12];
    raw[..4].copy_from_slice(&u32::try_from(now.timestamp()).unwrap_or(0).to_be_bytes());
    raw[4..].copy_from_slice(&bytes::<8>());
    let mut text = String::with_capacity(20);
    let bit = |index: usize| raw.get(index / 8).map_or(0, |byte| (byte >> (7 - index % 8)) & 1);
    for letter in 0..20 {
        let value = (0..5).fold(0_u8, |value, offset| (value << 1) | bit(letter * 5 + offset));
        text.push(char::from(LETTERS[usize::from(value)]));
    }
    text
}
