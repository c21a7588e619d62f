#!/usr/bin/env python3
"""Runs every test of a build folder and ends with a line that counts them.

    tests/run.py [--again] BUILD_FOLDER [NAME ...]

A suite that passed and whose sources, programs and data are the same since is not run again; its
line says so, and --again runs it.

NAME picks suites: the floors (attention, heads, ...), `python` (the Python package), `commands`
(tests/app, the program from outside) and `page` (the report in a browser). Without one all of them
run.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def suites(build):
    """name -> command, in the order in which a failure is most useful to read."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=human"],
                             capture_output=True, text=True, check=True).stdout
    names = [line.split(": ", 1)[1].strip() for line in listing.splitlines() if ": " in line and "Test" in line and "#" in line]
    commands = {name: ["ctest", "--test-dir", build, "--output-on-failure", "--tests-regex", f"^{name}$"]
                for name in names}
    commands["python"] = [sys.executable, "-m", "pytest", "-q", str(ROOT / "tests" / "python")]
    # The program starts a few hundred times, mostly on one core: a file of tests on each.
    commands["commands"] = [sys.executable, "-m", "pytest", "-q", f"-n{os.cpu_count() or 1}",
                            "--dist=loadfile", str(ROOT / "tests" / "app")]
    commands["page"] = ["node", "--test", "--test-reporter=spec", "--test-reporter-destination=stdout",
                        "--test-reporter=junit"]
    return commands


def count(path):
    """(passed, failed, skipped, [reasons]) of one JUnit file."""
    passed = failed = skipped = 0
    reasons = []
    for case in ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            skipped += 1
            mark = case.find("skipped")
            reasons.append((mark.get("message") or mark.text or "").strip() if mark is not None else "")
        else:
            passed += 1
    return passed, failed, skipped, reasons


def state_of(build):
    """A number that changes with every file that a test could depend on."""
    listing = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             cwd=ROOT, capture_output=True, check=True).stdout
    files = [ROOT / name for name in os.fsdecode(listing).split("\0") if name]
    programs = {build, *(build / "tests" / name for name in os.listdir(ROOT / "tests"))}
    built = [path for path in build.rglob("*") if path.suffix in (".so", ".a", ".html")
             or path.parent in programs and os.access(path, os.X_OK)]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(files) + sorted(built):
        if path.is_file():
            digest.update(str(path).encode() + hashlib.sha256(path.read_bytes()).digest())
    shared = ROOT.parent / "shared" / "data"
    packages = build.parent / "venv" / "lib"
    for path in sorted(shared.rglob("*")) + sorted(packages.glob("*/site-packages/*.dist-info")):
        about = path.stat()
        digest.update(f"{path} {about.st_size} {about.st_mtime_ns}".encode())
    return digest.hexdigest()


def main():
    again = "--again" in sys.argv
    build, *chosen = [word for word in sys.argv[1:] if word != "--again"]
    build = Path(build).resolve()
    results = build / "test-results"
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    environment = dict(os.environ, GTEST_OUTPUT=f"xml:{results}/", GTEST_BRIEF="1",
                       HEADLIGHT_PROGRAM=str(build / "headlight"),
                       HEADLIGHT_PYTHON=str(build / "python"), PYTHONDONTWRITEBYTECODE="1")
    commands = suites(build)
    for name in chosen:
        if name not in commands:
            sys.exit(f"no suite is called {name}; there are {', '.join(commands)}")

    record = build / "passed.json"
    state = state_of(build)
    before_this = json.loads(record.read_text()) if record.exists() and not again else {}
    passed = {name: one for name, one in before_this.items() if one["state"] == state}
    totals, kept = [0, 0, 0], 0
    why = {}
    broken = []
    for name in chosen or commands:
        if name in passed:
            tally, why[name] = passed[name]["tally"], passed[name]["why"]
            print(f"{name:<12} {tally[0]:>5} passed {tally[1]:>3} failed {tally[2]:>3} skipped   unchanged since", flush=True)
            totals = [a + b for a, b in zip(totals, tally)]
            kept += sum(tally)
            continue
        command = list(commands[name])
        own = results / f"{name}.xml"
        if name in ("python", "commands"):
            command.append(f"--junitxml={own}")
        elif name == "page":
            command += [f"--test-reporter-destination={own}"] + sorted(map(str, (ROOT / "web" / "test").glob("*.test.mjs")))
        before = set(results.iterdir())
        start = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        seconds = time.monotonic() - start
        tally = [0, 0, 0]
        for path in sorted(set(results.iterdir()) - before):
            *numbers, reasons = count(path)
            tally = [a + b for a, b in zip(tally, numbers)]
            for reason in reasons:
                line = reason.splitlines()[-1] if reason else "no reason given"
                why.setdefault(name, []).append(line)
        # A program that dies writes no result, which is a failure too; a check of one thing that
        # writes none is one test.
        if done.returncode != 0 and tally[1] == 0:
            tally[1] += 1
        elif tally == [0, 0, 0]:
            tally[0] += 1
        if tally[1]:
            broken.append(name)
            print(done.stdout[-20000:], done.stderr[-5000:], sep="\n")
        print(f"{name:<12} {tally[0]:>5} passed {tally[1]:>3} failed {tally[2]:>3} skipped {seconds:>7.1f} s", flush=True)
        totals = [a + b for a, b in zip(totals, tally)]
        if not tally[1]:
            passed[name] = {"state": state, "tally": tally, "why": why.get(name, [])}
            record.write_text(json.dumps(passed))

    for name, reasons in why.items():
        if reasons:
            print(f"skipped {len(reasons)} of {name}, for example: {reasons[0]}")
    if broken:
        print("failed:", ", ".join(broken))
    if kept:
        print(f"{kept} of these were not run again: nothing has changed since they passed; "
              f"tests/run.py --again {build.relative_to(ROOT)} runs them")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    sys.exit(1 if totals[1] or not totals[0] else 0)


main()
