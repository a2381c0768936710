#!/usr/bin/env python3
"""Checks that every Swift file imports only what its target names as a dependency, and that arrows point down.

`swift build` lets a target import anything in the closure of its dependencies; the design does not.
"""
import json
import pathlib
import re
import subprocess
import sys

SYSTEM = {"Foundation", "FoundationEssentials", "Glibc", "Dispatch", "Synchronization", "Testing", "RegexBuilder", "PackageDescription"}
FORBIDDEN = {  # room -> rooms it must not know, whatever Package.swift says
    "Domain": {"*"},
    "FGNetKernel": {"Domain", "Volumes", "DB", "Intake", "Plugins", "Daemon"},
    "Volumes": {"DB", "Intake", "Plugins", "Daemon", "FGNetKernel"},
    "DB": {"Volumes", "Intake", "Plugins", "Daemon", "FGNetKernel"},
    "Intake": {"Volumes", "DB", "Plugins", "Daemon", "FGNetKernel"},
    "Plugins": {"Volumes", "DB", "Intake", "Daemon"},
    "Web": {"FGNetKernel", "Intake", "Plugins", "Daemon"},
}


def main() -> int:
    package = json.loads(subprocess.run(["swift", "package", "dump-package"], check=True, capture_output=True).stdout)
    allowed = {}
    for target in package["targets"]:
        names = set()
        for dependency in target["dependencies"]:
            names |= {value[0] for value in dependency.values()}
        allowed[target["name"]] = names
    faults = []
    for target, names in allowed.items():
        wrong = names - SYSTEM if "*" in FORBIDDEN.get(target, ()) else names & FORBIDDEN.get(target, set())
        faults += [f"Package.swift: {target} must not depend on {name}" for name in sorted(wrong)]
        for root in (pathlib.Path("Sources") / target, pathlib.Path("Tests") / target):
            for path in sorted(root.rglob("*.swift")):
                for name in re.findall(
                    r"^(?:@\w+\s+)*(?:public |internal |package |private )?import (?:struct |class |enum |func )?(\w+)",
                    path.read_text(), re.M,
                ):
                    if name not in names | SYSTEM:
                        faults.append(f"{path}: imports {name}, which {target} does not depend on")
    print("\n".join(faults) if faults else f"layers: {len(allowed)} targets import only what they name")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
