from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / name).read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)(?:\+cpu)?", text, flags=re.MULTILINE))


def required(*extras: str) -> set[str]:
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    texts = [setup["options"]["install_requires"]]
    texts += [setup["options.extras_require"][extra] for extra in extras]
    return {
        re.match(r"[\w-]+", line)[0] for line in "\n".join(texts).split("\n") if line
    }


def test_what_is_required_is_pinned_and_locked():
    names = required("cpu", "plots", "test")
    assert names <= pinned("constraints.txt").keys()
    assert names <= pinned("requirements.lock").keys()


def test_the_tools_of_the_other_extras_are_pinned():
    assert required("audit", "mutation") <= pinned("constraints.txt").keys()


def test_the_lock_has_the_versions_of_the_constraints():
    locked = pinned("requirements.lock")
    for name, version in pinned("constraints.txt").items():
        assert locked.get(name, version) == version


def test_the_conda_environment_has_all_that_is_required_from_one_channel():
    text = (ROOT / "environment.yml").read_text("utf-8")
    entries = set(re.findall(r"^  - ([\w-]+)", text, flags=re.MULTILINE))
    renamed = {"torch": "pytorch-gpu", "torch-geometric": "pytorch_geometric"}
    renamed |= {"torch-sparse": "pytorch_sparse", "torch-scatter": "pytorch_scatter"}
    names = {renamed.get(name, name) for name in required("gpu", "sparse")}
    assert names <= entries
    # Python's own packages and builds of another channel would share no ABI.
    assert entries - names == {"conda-forge", "nodefaults", "python", "pip"}


def test_every_locked_package_has_hashes_and_no_address():
    text = (ROOT / "requirements.lock").read_text("utf-8")
    blocks = re.split(r"^(?=[\w.-]+==)", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(pinned("requirements.lock")) > 50
    for block in blocks:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", block), block
    assert "://" not in text


def audit(text: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / ".ci" / "audit.py"]
    return subprocess.run(
        command, input=text, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("text", ["", "Traceback ...", '{"dependencies": []}'])
def test_an_audit_without_a_source_says_that_it_was_none(text):
    done = audit(text)
    assert done.stdout.endswith("nothing was audited.\n")
    assert done.returncode == 0


def test_packages_that_were_skipped_do_not_count_as_audited():
    skipped = {"name": "a", "skip_reason": "not found"}
    sound = {"name": "b", "version": "1", "vulns": []}
    assert (
        "nothing was audited" in audit(json.dumps({"dependencies": [skipped]})).stdout
    )
    done = audit(json.dumps({"dependencies": [skipped, sound]}))
    assert done.stdout == "1 of 2 packages audited, 0 vulnerabilities.\n"


def test_a_vulnerability_fails_the_audit():
    report = runpy.run_path(str(ROOT / ".ci" / "audit.py"))["report"]
    known = {"id": "CVE-1", "fix_versions": ["2"]}
    text, status = report([{"name": "b", "version": "1", "vulns": [known]}])
    assert text.splitlines()[0] == "b 1: CVE-1, mended in 2"
    assert status == 1
