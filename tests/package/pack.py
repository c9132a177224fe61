#!/usr/bin/env python3
"""Packs a charm directory into a .charm file: pack.py DIR FILE.

A plain deflate ZIP, relative names, Unix modes kept, files only. The same input gives the same bytes: sorted names, one date.
"""

import os
import pathlib
import sys
import zipfile


def pack(top: pathlib.Path, target: pathlib.Path) -> None:
    part = target.with_name(target.name + ".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as out:
        for path in sorted(p for p in top.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(top).as_posix(), date_time=(1980, 1, 1, 0, 0, 0))
            entry.create_system = 3  # Unix: Juju reads the mode below only then
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, path.read_bytes())
    os.replace(part, target)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: pack.py DIR FILE")
    pack(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
    print(f"charm: {sys.argv[2]} ({os.path.getsize(sys.argv[2]) // 1024} KiB)")
