# One closing line over all test programs of a `cargo test` log.
/^test result: / {
  for (i = 1; i < NF; i++) {
    if ($(i + 1) ~ /^passed/) passed += $i
    if ($(i + 1) ~ /^failed/) failed += $i
    if ($(i + 1) ~ /^ignored/) skipped += $i
  }
}
END { printf "\ntotal: %d passed, %d failed, %d skipped\n", passed, failed, skipped }
