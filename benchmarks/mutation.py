"""Which small faults in the code no test notices: mutation testing, scope by scope.

    python -m benchmarks mutation losses [--work DIR] [--children 1] [--only NAME ...]

mutmut (the extra `mutation`) changes one operator, number, name, argument or text at a
time and runs the tests that reach the changed function. This script copies the checkout
into a scratch folder, writes mutmut's settings there and prints a row per file and a
line per survivor; `mutmut show NAME` in the folder shows the change. Run again with the
same `--work`, it copies the files of today and tries what is new and what no test
noticed before. `--only "mmgraph.knn.update.*"` tries those mutants alone.

Doctests and tests that take seconds (`SLOW`) are left out: what they alone notice
counts as unnoticed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from configparser import ConfigParser
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

KNN = ("graph", "weights", "undirected", "digest", "certificate", "merge", "update")

# Scope: what is changed, and the tests that are to notice.
SCOPES = {
    "losses": (
        ["functional/losses/*", "nn/losses/*"],
        ["functional/losses", "nn/losses", "models/test_vbpr.py"],
    ),
    "recommend": (
        ["functional/recommend/*"],
        ["functional/recommend", "train/test_evaluation.py", "train/test_loop.py"],
    ),
    "projection": (
        [
            "functional/redundancy/projection.py",
            "functional/redundancy/shared_rank.py",
            "nn/projection.py",
        ],
        ["functional/redundancy", "nn/test_projection.py"],
    ),
    "train": (
        ["train/evaluation.py", "train/checkpoint.py", "train/early_stopping.py"],
        [
            "train/test_evaluation.py",
            "train/test_checkpoint.py",
            "train/test_early_stopping.py",
            "train/test_recommendations.py",
            "train/test_loop.py",
            "train/test_arguments.py",
        ],
    ),
    "knn": (
        ["knn/search/*", "knn/metric/*", "knn/rows/*", *(f"knn/{m}.py" for m in KNN)],
        ["knn/search", "knn/metric", "knn/rows", *(f"knn/test_{m}.py" for m in KNN)],
    ),
}
# Parts of the names of tests that take seconds each: thousands of runs of them.
SLOW = (
    "training_aligns_generic_halves",
    "right_pairs_gives_the_larger_bound",
    "paper_pairs_see_a_dependence",
    "finds_the_planted_rank",
    "finds_the_rank_of_the_planted",
    "unrelated_tables_share",
    "matching_the_rows_at_random",
    "misses_a_faint_direction",
    "ties_do_not_depend",
    "holds_in_990_of_1000",
)

UNNOTICED = {"survived", "no tests"}
UNTRIED = "not checked"


def copy_checkout(work: Path) -> None:
    """The files of the checkout as they are now, committed or not."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (work / name).parent.mkdir(parents=True, exist_ok=True)
            content = (CHECKOUT / name).read_bytes()
            # mutmut goes by the time of change: leave alone what is the same.
            if not (work / name).is_file() or (work / name).read_bytes() != content:
                (work / name).write_bytes(content)


def write_settings(work: Path, scope: str) -> None:
    """setup.cfg of the scratch folder: one process, no doctests, the scope's files."""
    mutated, tests = SCOPES[scope]
    settings = ConfigParser(interpolation=None)
    settings.read(CHECKOUT / "setup.cfg")
    settings["tool:pytest"]["addopts"] = (
        f'--strict-markers --import-mode=importlib -k "not ({" or ".join(SLOW)})"'
    )
    settings["mutmut"] = {
        "source_paths": "mmgraph",
        "only_mutate": "\n".join(["", *(f"mmgraph/{name}" for name in mutated)]),
        "pytest_add_cli_args_test_selection": "\n".join(
            ["", *(f"tests/{name}" for name in tests)]
        ),
        "timeout_multiplier": "4",
        "also_copy": "\n".join(
            ["", "docs", "README.md", "examples", "benchmarks", "constraints.txt"]
        ),
    }
    with open(work / "setup.cfg", "w", encoding="utf-8") as file:
        settings.write(file)


def mutmut(work: Path, *words: str, quiet: bool = False) -> str:
    """Run mutmut in the scratch folder, one thread per process."""
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", *words],
        cwd=work,
        env=os.environ
        | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": ""},
        stdout=subprocess.PIPE if quiet else None,
        text=True,
        check=True,
    )
    return done.stdout or ""


def results(work: Path) -> list[tuple[str, str]]:
    """Name and status of every mutant so far."""
    if not (work / "mutants").exists():
        return []
    listed = mutmut(work, "results", "--all", "true", quiet=True)
    lines = (line.strip().rpartition(": ") for line in listed.splitlines())
    return [(name, status) for name, _, status in lines if name]


def report(lines: list[tuple[str, str]]) -> str:
    """A row per file and one for all; below it what was not noticed."""
    by_file: dict[str, Counter[str]] = defaultdict(Counter)
    for name, status in lines:
        # mmgraph.functional.losses.bpr.x_bpr__mutmut_1
        if status != UNTRIED:
            by_file[name.rpartition(".")[0]][status] += 1
    by_file["all"] = sum(by_file.values(), Counter())
    text = ["| file | mutants | killed | timeout | survived | no test | score |"]
    text += ["|---|---|---|---|---|---|---|"]
    for name, counts in by_file.items():
        survived, no_test = counts["survived"], counts["no tests"]
        noticed = counts.total() - survived - no_test
        score = noticed / max(counts.total(), 1)
        killed = noticed - counts["timeout"]
        text.append(
            f"| {name} | {counts.total()} | {killed} | {counts['timeout']} "
            f"| {survived} | {no_test} | {score:.1%} |"
        )
    text += [
        "",
        *(f"{status}: {name}" for name, status in lines if status in UNNOTICED),
    ]
    return "\n".join(text)


def main() -> None:
    """Run one scope and print what was noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scope", choices=SCOPES)
    parser.add_argument("--work", type=Path, help="scratch folder, kept")
    parser.add_argument("--children", type=int, default=1, help="mutants at a time")
    parser.add_argument("--only", nargs="+", default=[], help="names, as of a shell")
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="mutation-"))
    work.mkdir(parents=True, exist_ok=True)
    copy_checkout(work)
    write_settings(work, options.scope)
    # mutmut learns what a test reaches by its name: a changed one is a new one.
    (work / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    again = [name for name, status in results(work) if status in UNNOTICED]
    command = ["run", "--max-children", str(options.children)]
    mutmut(work, *command, *options.only)
    if again and not options.only:
        mutmut(work, *command, *again)
    print(report(results(work)))
    print(f"\nScratch folder: {work}")


if __name__ == "__main__":
    main()
