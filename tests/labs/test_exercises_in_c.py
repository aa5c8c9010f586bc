"""The exercises in C compile without a warning, the skeleton and the solution of each."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runs.exercise import desk, source
from runs.exercise.source import Exercise, Language
from tests.conftest import tool


def compiled(compiler: str, exercise: Exercise, folder: Path) -> str:
    """What the compiler says about all texts of the exercise; "" without a warning."""
    texts = {"skeleton": exercise.skeleton(), "solution": exercise.solution()}
    for name, text in texts.items():
        (folder / f"{exercise.model}_{name}.c").write_text(text)
    files = [str(folder / f"{exercise.model}_{name}.c") for name in texts]
    line = [compiler, *desk.C_OPTIONS, "-std=gnu11", "-Wpedantic", "-Werror", "-fsyntax-only", *files]
    return subprocess.run(line, capture_output=True, text=True, check=False).stderr


def test_skeletons_and_solutions_compile_without_a_warning(tmp_path: Path) -> None:
    compiler = tool("cc", "gcc libc6-dev")
    exercises = [source.load(model, Language.C) for model in source.models() if source.exists(model, Language.C)]
    assert len(exercises) == 14
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        said = list(pool.map(lambda exercise: compiled(compiler, exercise, tmp_path), exercises))
    assert not any(said), "\n".join(filter(None, said))
