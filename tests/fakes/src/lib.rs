//! Scripted stand-ins for outside programs: what a test expects to be called, and what is answered.
//!
//! ```no_run
//! let tools = fakes::Script::new()
//!     .expect("pgbackrest", ["--stanza=m.db", "info"]).stdout("[]")
//!     .expect("pgbackrest", ["--stanza=m.db", "--set=*", "restore"]).exit(50)
//!     .install().expect("installing the fakes");
//! // … run the code under test with `tools.path()` in front of PATH …
//! assert_eq!(tools.calls()[0].args, ["--stanza=m.db", "info"]);
//! tools.finish();
//! ```
//! `*` in an expected argument stands for any text, an argument `**` for any number of arguments.
#![allow(clippy::disallowed_methods, reason = "a test tool of its own, outside the agent's walls")]

mod installed;
pub mod script;

pub use installed::Installed;
pub use script::{Call, Script};
