"""junit.py -- "PASSED FAILED" of a pytest result file; the names of failed tests on stderr

A skipped test counts as failed: what `make check` needs, it has installed. Only what the
machine itself must allow may be missing: reasons that begin with "not here: ".
"""
import sys
import xml.etree.ElementTree as ET

passed = failed = 0
for case in ET.parse(sys.argv[1]).iter("testcase"):
    bad = [c.tag for c in case if c.tag in ("failure", "error", "skipped")
           and "not here: " not in c.get("message", "")]
    if bad:
        failed += 1
        name = f"{case.get('classname', '').replace('.', '/')}.py::{case.get('name')}"
        print(f"scenario {name}: {bad[0]}", file=sys.stderr)
    else:
        passed += 1
print(passed, failed)
