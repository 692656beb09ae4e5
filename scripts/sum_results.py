"""Sums up JUnit result files: which failed, which were skipped and why, and one closing line of counts."""

import collections
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

folder = pathlib.Path(sys.argv[1])
passed = 0
failures, skips = [], collections.Counter()
for path in sorted(folder.glob("*.xml")):
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        name = f"{path.stem}: {case.get('classname')}.{case.get('name')}"
        if case.find("failure") is not None or case.find("error") is not None:
            failures.append(name)
        elif case.find("skipped") is not None or case.get("result") == "skipped":
            skipped = case.find("skipped")
            reason = "" if skipped is None else (skipped.get("message") or skipped.text or "").strip()
            skips[(path.stem, reason or "no reason given")] += 1
        elif case.get("status") != "notrun":
            passed += 1
crashed = folder / "crashed"
failures += [line + ": did not build or crashed" for line in crashed.read_text().splitlines()] if crashed.exists() else []

for name in failures:
    print("FAILED ", name)
for (where, reason), count in sorted(skips.items()):
    print(f"SKIPPED {count} in {where}: {reason}")
print(f"{passed} passed, {len(failures)} failed, {sum(skips.values())} skipped")
sys.exit(1 if failures or passed == 0 else 0)
