"""Saves a recording and shows it: as a report, as a page, and in files for other programs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, NamedTuple

from commands.options import number
from commands.outputs import CANNOT_WRITE, output, progress
from probes import files
from probes.errors import IolabError, WrongUsage
from probes.garbage import uncollected

if TYPE_CHECKING:
    from commands.exports import Exports
    from findings.part import Part
    from findings.zoom import Zoom
    from probes.measure.result import Result
    from probes.recording import Recording
    from runs.report import Report


class View(NamedTuple):
    """What the user wants to see of a result.

    `stacks`: the kernel stacks; `brief`: only the first screen; `part`: a part of the run (findings/part.py); `stories`:
    how many of the slowest messages and calls; `zoom`: the timeline, and which part of it.
    """

    stacks: bool = False
    brief: bool = False
    part: Part | None = None
    stories: int = 0
    zoom: Zoom | None = None


def view(
    stacks: bool = False,
    brief: bool = False,
    thread: str = "",
    calls: str = "",
    fd: str = "",
    slowest: str = "",
    port: str = "",
) -> View:
    """What these options ask for. Raises WrongUsage for a text that is not a number."""
    from findings.part import Part

    def each(text: str) -> tuple[str, ...]:
        return tuple(filter(None, map(str.strip, text.split(","))))

    fds, ports = (tuple(number(name, text) for text in each(texts)) for name, texts in (("fd", fd), ("port", port)))
    part = Part(threads=each(thread), calls=each(calls), fds=fds, ports=ports)
    return View(stacks, brief, part, number("slowest", slowest) if slowest else 0)


def present(
    recording: Recording,
    *,
    json: bool,
    save: str,
    out: str,
    view: View,
    html: str = "",
    exports: Exports | None = None,
    default: IO[str] | None = None,
    unsaved: IolabError | None = None,
    again: bool = False,
    silent: bool = False,
) -> tuple[Result, int]:
    """Saves the recording, then shows it. The result, and CANNOT_WRITE if an output failed, else 0.

    If one output fails, the others are still written. The recording comes first, then the report. `unsaved`: why an earlier
    saving failed. `again`: the recording is in a file already. `silent`: without the report itself.
    """
    from runs.lab import measure_and_check
    from runs.report import report

    failed: list[IolabError] = [unsaved] if unsaved else []
    if save:
        _keep(failed, lambda: _save(recording, save))
    with uncollected():  # a report makes few cycles, and goes through all calls many times
        result = measure_and_check(recording)
        made = functools.cache(lambda: report(result, view.part, view.stories))
        if not silent:
            view = _with_window(failed, made, view, again)
            _keep(failed, lambda: _write(made, json, out, view, default))
        if html:
            _keep(failed, lambda: _write_html(made, html, view.zoom))
        for step in exports.steps(made) if exports else ():
            _keep(failed, step)
    for error in failed:
        progress(str(error))
    return result, CANNOT_WRITE if failed else 0


def load_ahead(json: bool) -> None:
    """Imports the modules that `present` needs, which takes 0.15 s."""
    import runs.lab
    import runs.report  # noqa: F401

    if json:
        import reports.document
    else:
        import reports.terminal.page  # noqa: F401


def _save(recording: Recording, path: str) -> None:
    digest = recording.save(path)
    if getattr(recording.context, "origin", None):
        progress(f"the seal of {path} is {digest}")


def _write(made: Callable[[], Report], json: bool, out: str, view: View, default: IO[str] | None) -> None:
    with output(out, default) as file:
        if json:
            from reports import document

            document.write(made(), file)
        else:
            from reports.terminal import page

            page.write(made(), file, view.stacks, brief=view.brief, zoom=view.zoom)


def _with_window(failed: list[IolabError], made: Callable[[], Report], view: View, again: bool) -> View:
    """The view, without its timeline if the window contains no part of the run: the rest of the report is still useful.

    Raises WrongUsage if `again` is true, because the user can then ask for another window.
    """
    if view.zoom and view.zoom.named:
        try:
            made().timeline.window(view.zoom)
        except WrongUsage as error:
            if again:
                raise
            failed.append(error)
            return view._replace(zoom=None)
    return view


def _write_html(made: Callable[[], Report], html: str, zoom: Zoom | None) -> None:
    from reports.html import page

    with files.whole(html) as file:
        page.write(made(), file, zoom)


def _keep(failed: list[IolabError], step: Callable[[], object]) -> None:
    try:
        step()
    except IolabError as error:
        failed.append(error)
