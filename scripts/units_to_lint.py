#!/usr/bin/env python3
"""Prints the units clang-tidy is to look at: every library's, those that need most first; no tests, no fuzzers, no third-party code."""

import json
import os
import sys

with open(sys.argv[1]) as commands:
    files = {entry["file"] for entry in json.load(commands)}


def is_ours(name):
    """A batch is, where it holds any file of ours."""
    if any(part in name for part in ("_test.", "_fuzz.", "/asio_impl.", "/generated/")):
        return False
    if "/Unity/" not in name:
        return "/src/" in name
    with open(name) as batch:
        return any("/src/" in line and "#include" in line for line in batch)


files = [f for f in files if is_ours(f)]
# The whole takes as long as the last to end: batches, which hold eight files, go first.
files.sort(key=lambda f: ("/Unity/" not in f, -os.path.getsize(f), f))
print("\n".join(files))
