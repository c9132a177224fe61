//! Tables of what is good and what is refused.

use serde_json::json;

use super::*;

fn healthy() -> Config {
    Config {
        system_users: None,
        compression: Compression::Zst,
        compression_level: None,
        process_max: ProcessMax::Auto,
        archive_async: true,
        bundle: true,
        archive_timeout: Duration::from_secs(300),
        keep_old_data: Duration::from_secs(24 * 3600),
        backup_after_restore: true,
    }
}

#[test]
fn nothing_set_is_the_defaults() {
    for nothing in [json!({}), json!(null), json!({"system-users": "", "compression": null, "other": [1]})] {
        assert_eq!(Config::from_json(&nothing), Ok(healthy()), "{nothing}");
    }
    assert_eq!(healthy().level(), Some(1));
}

#[test]
fn options_are_meant_as_they_are_typed() {
    let uri = "secret:9m4e2mr0ui3e8a215n4g";
    let users = Some(uri.parse().unwrap());
    let seconds = Duration::from_secs;
    #[rustfmt::skip]
    let table = [
        (json!({"system-users": uri}),                            Config { system_users: users, ..healthy() }),
        (json!({"compression": "lz4"}),                           Config { compression: Compression::Lz4, ..healthy() }),
        (json!({"compression": " none "}),                        Config { compression: Compression::None, ..healthy() }),
        (json!({"compression-level": 0}),                         healthy()),
        (json!({"compression-level": 22}),                        Config { compression_level: Some(22), ..healthy() }),
        (json!({"compression-level": -7}),                        Config { compression_level: Some(-7), ..healthy() }),
        (json!({"compression": "none", "compression-level": 5}),  Config { compression: Compression::None, ..healthy() }),
        (json!({"process-max": "auto"}),                          healthy()),
        (json!({"process-max": "999"}),                           Config { process_max: ProcessMax::Fixed(999), ..healthy() }),
        (json!({"archive-async": false, "bundle": false}),        Config { archive_async: false, bundle: false, ..healthy() }),
        (json!({"archive-timeout": 0}),                           Config { archive_timeout: seconds(0), ..healthy() }),
        (json!({"keep-old-data": 8760}),                          Config { keep_old_data: seconds(8760 * 3600), ..healthy() }),
    ];
    for (options, want) in table {
        assert_eq!(Config::from_json(&options), Ok(want), "{options}");
    }
}

#[test]
fn refusals_name_option_want_and_got() {
    #[rustfmt::skip]
    let table = [
        (json!({"compression": "tar"}),         "option `compression` must be zst, lz4, gz, bz2 or none, not `tar`"),
        (json!({"compression": 3}),             "option `compression` must be zst, lz4, gz, bz2 or none, not `3`"),
        (json!({"compression": "zst\nrepo1-path=/"}), "option `compression` must be zst, lz4, gz, bz2 or none, not `zst\\nrepo1-path=/`"),
        (json!({"compression-level": 23}),      "option `compression-level` must be -7 to 22 with compression zst (0: the default), not `23`"),
        (json!({"compression": "bz2", "compression-level": -1}), "option `compression-level` must be 1 to 9 with compression bz2 (0: the default), not `-1`"),
        (json!({"compression-level": "3"}),     "option `compression-level` must be -7 to 22 with compression zst (0: the default), not `3`"),
        (json!({"compression": "none", "compression-level": true}), "option `compression-level` must be a whole number, not `true`"),
        (json!({"process-max": "0"}),           "option `process-max` must be auto or 1 to 999, not `0`"),
        (json!({"process-max": "+4"}),          "option `process-max` must be auto or 1 to 999, not `+4`"),
        (json!({"process-max": "$(nproc)"}),    "option `process-max` must be auto or 1 to 999, not `$(nproc)`"),
        (json!({"bundle": "yes"}),              "option `bundle` must be true or false, not `yes`"),
        (json!({"archive-async": 1}),           "option `archive-async` must be true or false, not `1`"),
        (json!({"archive-timeout": -1}),        "option `archive-timeout` must be 0 to 86400 seconds, not `-1`"),
        (json!({"archive-timeout": 1.5}),       "option `archive-timeout` must be 0 to 86400 seconds, not `1.5`"),
        (json!({"keep-old-data": 8761}),        "option `keep-old-data` must be 0 to 8760 hours, not `8761`"),
        (json!({"keep-old-data": {"a": "b"}}),  "option `keep-old-data` must be 0 to 8760 hours, not `{\"a\":\"b\"}`"),
        (json!({"system-users": "secret:no"}),  "option `system-users` must be the URI of a secret, like secret:9m4e2mr0ui3e8a215n4g, not `secret:no`"),
    ];
    for (options, want) in table {
        assert_eq!(Config::from_json(&options).unwrap_err().to_string(), want, "{options}");
    }
}

#[test]
fn auto_leaves_half_the_cores_to_the_database() {
    let table = [(1, 2), (2, 2), (4, 2), (8, 4), (16, 8), (512, 32)];
    for (cores, want) in table {
        assert_eq!(ProcessMax::Auto.resolve(cores), want, "{cores} cores");
    }
    assert_eq!(ProcessMax::Fixed(7).resolve(1), 7);
}
