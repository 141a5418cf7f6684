"""Packs functions for Lambda and compares each zip with its budget in zip-budget.txt.

The zip holds one file, `bootstrap`, with a fixed time and mode: the same binary always gives the same zip.
"""

from __future__ import annotations

import argparse
import hashlib
import pathlib
import sys
import zipfile

BUDGETS = pathlib.Path(__file__).with_name("zip-budget.txt")


def budgets(column: str) -> dict[str, int]:
    """KiB per function."""
    lines = [line.split("#")[0].split() for line in BUDGETS.read_text().splitlines()]
    header, *rows = [line for line in lines if line]
    return {row[0]: int(row[header.index(column)]) for row in rows}


def pack(binary: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    entry = zipfile.ZipInfo("bootstrap", (1980, 1, 1, 0, 0, 0))
    entry.create_system = 3  # Unix, or the mode is ignored
    entry.external_attr = 0o100755 << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    new = target.with_suffix(".new")
    with zipfile.ZipFile(new, "w") as file:
        file.writestr(entry, binary.read_bytes(), compresslevel=9)
    new.replace(target)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", required=True, help="path of a binary, with {} for the function")
    parser.add_argument("--out", required=True, help="folder for <function>/bootstrap.zip")
    parser.add_argument("--budget", required=True, help="column of zip-budget.txt")
    parser.add_argument("functions", nargs="+")
    options = parser.parse_args()
    known = budgets(options.budget)
    mistakes = []
    for function in options.functions:
        binary = pathlib.Path(options.binaries.replace("{}", function))
        if not binary.is_file():
            mistakes.append(f"{function}: {binary} was not built")
            continue
        target = pathlib.Path(options.out, function, "bootstrap.zip")
        pack(binary, target)
        size = -(-target.stat().st_size // 1024)
        digest = hashlib.sha256(target.read_bytes()).hexdigest()
        budget = known.get(function)
        print(f"{function:20} {binary.stat().st_size / 1e6:6.1f} MB  zip {size:5} KiB of {budget or '?':>5}  sha256 {digest[:16]}")
        if budget is None:
            mistakes.append(f"{function}: {BUDGETS.name} has no budget for it")
        elif size > budget:
            mistakes.append(f"{function}: {size} KiB are more than its budget of {budget} KiB")
    for mistake in mistakes:
        print(f"infra/pack.py: {mistake}", file=sys.stderr)
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
