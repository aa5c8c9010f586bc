"""`invoke bench`: what tracing costs on this machine."""

from __future__ import annotations

from commands import options, outputs, process
from probes import files

HELP = options.REPORT_HELP | {
    "only": "only these workloads, with commas between: eagain, roundtrip, bulk, epoll, redis, nginx",
    "tools": "only these tools, with commas between: iolab, empty, clocks, bpftrace, bpftrace_lines, perf_s, perf, strace_c,"
    " strace, syscount",
    "rounds": "how often each workload runs under each tool; a figure is the median of the rounds",
    "write": "also write the page for docs/ to this file",
}


def bench(only: str = "", tools: str = "", rounds: str = "3", write: str = "", json: bool = False, out: str = "") -> int:
    """Measure what tracing costs here: iolab beside strace, perf trace, bpftrace and BCC, on the same workloads."""
    outputs.check(out, write)
    from runs.bench import rounds as benchmark

    plan = benchmark.plan(only, tools, options.number("rounds", rounds))
    process.need_tracing()
    from reports import bench as report

    for name, why in plan.left_out.items():
        outputs.progress(f"without {name}: {why}")
    outputs.progress(report.duration_words(plan))
    result = benchmark.bench(plan, outputs.progress)
    with outputs.output(out) as file:
        report.write(result, file, json)
    if write:
        with files.whole(write) as file:
            report.write_page(result, file)
    return 0 if result.complete else outputs.VERDICT_CODES["inconclusive"]
