"""The container image: its Dockerfile and entry point, its page, and the table of its trials."""

from __future__ import annotations

import io
import os
import re
import subprocess
import tomllib

from machines import image, trials
from tests.conftest import ROOT, iolab

DOCKERFILE = (ROOT / "Dockerfile").read_text()
ENTRY = ROOT / "machines" / "entry.sh"
GUIDE = (ROOT / "docs" / "docker.md").read_text()


def test_whatever_is_copied_and_started_exists() -> None:
    for source in re.findall(r"^COPY (?!--from)(\S+) \S+$", DOCKERFILE, re.MULTILINE):
        assert (ROOT / source).exists(), source
    for path in re.findall(r"/opt/iolab/([\w./]+)", DOCKERFILE):
        assert path == ".venv" or (ROOT / path).exists(), path
    assert os.access(ENTRY, os.X_OK)
    subprocess.run(["sh", "-n", str(ENTRY)], check=True)


def test_it_builds_without_buildkit() -> None:
    instructions = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    assert not [line for line in instructions if re.search(r"--mount=|--chmod=|--link|<<", line)]
    assert not DOCKERFILE.startswith("# syntax=")


def test_it_says_the_project_s_version_and_what_it_is() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f'org.opencontainers.image.version="{project["version"]}"' in DOCKERFILE
    assert f'org.opencontainers.image.description="{project["description"]}"' in DOCKERFILE


def test_what_git_ignores_stays_out_of_the_image() -> None:
    ignored = {line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()}
    kept_out = {line.removeprefix("**/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    assert ignored | {".git", ".ci"} <= kept_out


def test_no_command_is_named_as_what_the_entry_point_takes_for_itself() -> None:
    cases = re.findall(r"^([a-z |]+)\)", ENTRY.read_text(), re.MULTILINE)
    own = {word.strip() for case in cases for word in case.split("|")}
    commands = set(re.findall(r"^  ([\w-]+) ", iolab("--list").stdout, re.MULTILINE))
    assert own & commands == {"test"}  # which runs ./iolab test, as root
    named = set(re.findall(r"\biolab (\w+)", ENTRY.read_text().split("<<END")[1].split("\nEND")[0]))
    assert named <= commands | {"bash"}, "the entry point offers a command that there is not"


def test_every_trial_has_a_name() -> None:
    names = [trial.__doc__ for trial in trials.TRIALS.values()]
    assert all(names) and len(set(names)) == len(names)


def test_the_guide_has_the_least_privileges_as_they_are_tried() -> None:
    words = " ".join(trials.LEAST)
    assert words in re.sub(r"\s*\\\n\s*", " ", GUIDE)


def test_the_guide_quotes_what_the_program_says() -> None:
    sources = (path for room in ("probes/**", "machines", "commands") for path in ROOT.glob(f"{room}/*.py"))
    said = "".join(re.sub(r'"\n\s+f?"', "", path.read_text()) for path in (*sources, ROOT / "iolab", ENTRY))
    quotes = [quote for line in re.findall(r"^### (`.+`)$", GUIDE, re.MULTILINE) for quote in re.findall("`([^`]*)`", line)]
    assert len(quotes) >= 8
    for quote in quotes:
        for part in quote.split("..."):
            assert part.strip() in said, f"docs/docker.md quotes {part.strip()!r}, which nothing says"


def test_the_table_says_what_failed() -> None:
    rows = [image.Tried("one", "pass", 1.0, "fine"), image.Tried("two", "fail", 2.0, "ended with 1, not 0")]
    text = io.StringIO()
    image.write(rows, text, json=False)
    assert "fail     2.0 s  two  ended with 1, not 0" in text.getvalue()
    assert text.getvalue().endswith("1 passed, 1 failed, 3 s\n")


def test_a_trial_that_there_is_not_is_wrong_usage() -> None:
    done = iolab("image", "--only", "nothing_of_that_name")
    assert done.returncode == 2 and "the trials: is_small" in done.stderr
