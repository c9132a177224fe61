//! Objects on a disk: what is kept in memory (names), what in files (everything), and how both agree.

mod file;
mod index;
mod listing;
mod touched;
mod uploads;

pub use file::{Attributes, Meta, Writer, hex};
pub use index::{Condition, Damage, Entry, Refused, Store};
pub use listing::{Page, Query};
pub use uploads::{PART_MIN, PartInfo, UploadInfo};
