"""A network of the lab's own: server and clients in a network namespace each, joined by a veth pair with delay, loss, rate.

On loopback a message arrives within the sender's own call. Over a link it takes time, may get lost, and waits until the
messages before it are sent, as between two machines: `--link delay=20ms,loss=1%,rate=10mbit`. Each figure is for one direction,
so a delay of 20 ms makes a round trip of 40 ms.

One process holds both namespaces: it runs in the namespace of the server, and keeps a descriptor of the namespace of the
clients. The namespaces have no name under /run/netns, and the veth pair is made inside them, so the machine's own network is
neither used nor changed. The holder, the server and the clients end with the runner. Then the kernel removes the namespaces
and the pair (network_namespaces(7), veth(4)).

A token bucket (tc-tbf(8)) limits the rate. Its inner queue, netem (tc-netem(8)), adds delay, jitter and loss. netem also
splits what TCP sends in one piece into packets, so a loss is the loss of a packet. The kernel loads a discipline that is a
module by itself. If the kernel lacks a discipline, the report says so, and the lab runs without it. If the kernel lacks the
delay, the clients pause before each message, for the time by which the link would have delayed the previous message and its
echo. So the server gets the messages at the same pace.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from labs.kit.traffic import Traffic
from probes.capture.prctl import end_with_parent, name_me
from probes.capture.privileges import Finding, State, need_privileges
from probes.context import LinkUsed
from probes.errors import CannotTrace, WrongUsage
from runs.processes import Child

_TIME = {"us": 1, "ms": 1_000, "s": 1_000_000}
_SHARE = {"%": 10_000}
_SPEED = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
_PATIENCE = 120  # seconds: pyroute2 imports itself whole, which is long on an emulated CPU
_EXAMPLE = "for example --link delay=20ms,jitter=5ms,loss=1%,rate=10mbit"
_SEGMENT = 1448  # bytes of a TCP segment on Ethernet
_CLONE_NEWNET = 0x40000000  # linux/sched.h
_ROOM = 64 << 20  # bytes, and at most so many packets as that makes of full size: a queue so long that a rate drops nothing
_SERVER, _CLIENTS = "192.0.2.1", "192.0.2.2"  # RFC 5737: addresses for documentation, nobody's
_SERVER_MAC, _CLIENTS_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"  # locally administered


def _figure(units: dict[str, int], low: str, high: str) -> Any:
    return field(default=0, metadata={"units": units, "low": low, "high": high})


@dataclass(frozen=True)
class Shape:
    """What the link does to each packet, in each direction. A rate of 0 is none: as fast as the machine can."""

    delay: int = _figure(_TIME, "0us", "2s")  # us
    jitter: int = _figure(_TIME, "0us", "2s")  # us: the delay varies by as much to both sides, and packets may overtake
    loss: int = _figure(_SHARE, "0%", "30%")  # of a million packets
    rate: int = _figure(_SPEED, "64kbit", "10gbit")  # bit/s, headers counted

    def __str__(self) -> str:
        """As `parse` takes it.

        >>> str(Shape(delay=1500, loss=10_000, rate=10_000_000)), str(Shape())
        ('delay=1500us,loss=1%,rate=10mbit', 'delay=0us')
        """
        named = [field for field in fields(self) if getattr(self, field.name)] or fields(self)[:1]
        return ",".join(f"{field.name}={_words(getattr(self, field.name), field.metadata['units'])}" for field in named)

    @property
    def round_trip(self) -> float:
        """Seconds that the delay alone adds to a message and its echo, at most."""
        return 2 * (self.delay + self.jitter) / 1e6

    def serialised(self, size: int) -> float:
        """Seconds that so many bytes take to pass one way and back at this rate."""
        return 2 * 8 * 1.1 * size / self.rate if self.rate else 0.0  # a tenth more for headers


def _words(value: int, units: dict[str, int]) -> str:
    """A figure in the largest unit that divides it; a share as it is."""
    if units is _SHARE:
        return f"{value / _SHARE['%']:g}%"
    unit = next((unit for unit in reversed(units) if value and not value % units[unit]), next(iter(units)))
    return f"{value // units[unit]}{unit}"


def parse(text: str) -> Shape:
    """The shape that `--link` names. Raises WrongUsage.

    >>> parse("delay=20ms,loss=0.5%,rate=1.5mbit")
    Shape(delay=20000, jitter=0, loss=5000, rate=1500000)
    """
    known, values = {field.name: field.metadata for field in fields(Shape)}, dict[str, int]()
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name not in known:
            raise WrongUsage(f"--link does not know {name or part!r}: it takes {', '.join(known)}", _EXAMPLE)
        if name in values:
            raise WrongUsage(f"--link says {name} twice", _EXAMPLE)
        values[name] = _value(name, value, **known[name])
    if values.get("jitter", 0) > values.get("delay", 0):
        raise WrongUsage("--link: a jitter larger than the delay would deliver packets before they are sent", _EXAMPLE)
    return Shape(**values)


def _value(name: str, text: str, units: dict[str, int], low: str, high: str) -> int:
    found = re.fullmatch(r"(-?[0-9]+(?:\.[0-9]+)?)([a-z%]+)", text.lower())
    if not found or found[2] not in units:
        kind = f"a number with one of the units {', '.join(units)}" if len(units) > 1 else "a number with %"
        raise WrongUsage(f"--link {name}={text}: {name} is {kind}", _EXAMPLE)
    exact = Decimal(found[1]) * units[found[2]]
    if exact != int(exact) or not _value_of(low, units) <= exact <= _value_of(high, units):
        step = _words(1, units)
        raise WrongUsage(f"--link {name}={text} is out of range", f"give a {name} from {low} to {high}, in steps of {step}")
    return int(exact)


def _value_of(bound: str, units: dict[str, int]) -> int:
    number, unit = re.fullmatch(r"(\d+)(\D+)", bound).groups()  # type: ignore[union-attr]
    return int(number) * units[unit]


@dataclass(frozen=True)
class Link:
    """A link that stands: how to run a process at either end, and what of the wanted shape the kernel gave."""

    server: tuple[str, ...]  # a command that runs another at the server's end
    clients: tuple[str, ...]
    used: Shape
    description: LinkUsed
    pause_ms: float  # what the clients pause longer, in place of a delay
    host: str = _SERVER  # where the server listens

    def paced(self, traffic: Traffic) -> Traffic:
        """The traffic as the clients send it over this link: datagrams are given the time that their way takes."""
        way = self.used.round_trip + traffic.clients * self.used.serialised(traffic.size)
        return replace(
            traffic,
            gap_ms=min(traffic.gap_ms + self.pause_ms, 60_000),
            lost_after=traffic.lost_after + way,
            give_up_after=traffic.give_up_after + self.seconds(traffic),
        )

    def seconds(self, traffic: Traffic) -> float:
        """About how much longer the traffic takes than on loopback, at worst.

        A loss costs TCP a retransmission timeout, 0.2 s, and twice as much each time that it or its acknowledgement is lost
        again (RFC 6298, 5.5); at 30 % these seldom, but long pauses are what it spends its time with.
        """
        loss = self.used.loss / 1e6
        timeout = 0.2 / max(0.1, 1 - 2 * (1 - (1 - loss) ** 2))
        lost = 2 * (1 + traffic.size // _SEGMENT) * loss * timeout
        each = self.used.round_trip + self.used.serialised(traffic.size) + lost
        return traffic.clients * (self.used.round_trip + lost + traffic.messages * each)


@contextlib.contextmanager
def joined(shape: Shape) -> Iterator[Link]:
    """Two namespaces and a link of this shape between them, until the block is left. Raises CannotTrace, LabBroken."""
    with Child("runs.link", str(os.getpid()), str(shape)) as holder:
        found = json.loads(holder.line(_PATIENCE))
        if "problem" in found:
            raise CannotTrace(found["problem"], found["remedy"])
        used = replace(shape, **dict.fromkeys(found["missing"], 0))
        missing = replace(Shape(), **{name: getattr(shape, name) for name in found["missing"]})
        pause_ms = 2 * missing.delay / 1e3
        description = LinkUsed(
            wanted=str(shape),
            used=str(used) if used != Shape() else None,
            missing=str(missing) if found["missing"] else None,
            reason=found["reason"] or None,
            instead=f"the clients pause {pause_ms:g} ms longer before each message" if pause_ms else None,
        )
        place = f"--net=/proc/{holder.pid}"
        ends = ("nsenter", f"{place}/ns/net"), ("nsenter", f"{place}/fd/{found['clients']}")
        yield Link(*ends, used, description, pause_ms)


@contextlib.contextmanager
def optional(text: str, progress: Callable[[str], None]) -> Iterator[Link | None]:
    """The link that `--link` describes; None without --link. Raises WrongUsage, CannotTrace."""
    if not text:
        yield None
        return
    shape = parse(text)
    need_privileges()
    with joined(shape) as link:
        progress(words(link.description))
        yield link


def words(link: LinkUsed) -> str:
    """What a run's link was, in a sentence's part: for the progress line and the reports."""
    said = "over a link"
    if link.used:
        said += f" with {link.used} in each direction"
    if link.missing:
        said += f"{',' if link.used else ''} without {link.missing}: {link.reason}"
    if link.instead:
        said += f"; instead {link.instead}"
    return said


def examine() -> Finding:
    """For doctor: makes a link, and reports which values it can have. A module that the kernel loads for it stays loaded."""
    try:
        with joined(Shape(delay=1_000, rate=10**9)) as link:
            description, used = link.description, link.used
    except CannotTrace as error:
        return Finding("link", State.LIMITED, error.problem, error.remedy)
    if not description.missing:
        return Finding("link", State.YES, "--link puts delay, jitter, loss and rate between server and clients")
    able = "the rate only" if used.rate else "none of its values"
    return Finding(
        "link", State.LIMITED, f"--link can set {able}: {description.reason}",
        "Debian's kernels have netem as a module; other distributions have it in the package linux-modules-extra or"
        " kernel-modules-extra. Without netem, the clients pause instead of the delay",
    )  # fmt: skip


class _Cannot(Exception):
    """What failed, and what would help."""


def _namespace() -> Any:
    """Moves this process to a new network namespace; a netlink socket in it, which stays there wherever the process goes."""
    from pyroute2 import IPRoute

    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        remedy = "sudo ./iolab ...; in a container: docker run --privileged, or --cap-add SYS_ADMIN,NET_ADMIN"
        if number != errno.EPERM:
            remedy = "user.max_net_namespaces says how many there may be, and CONFIG_NET_NS whether there are any"
        raise _Cannot(f"no network namespace for the link: {os.strerror(number)}", remedy + "; or leave --link out")
    return IPRoute()


def _join(shape: Shape) -> dict[str, Any]:
    """Makes both namespaces and the link: the clients' descriptor, and what of the shape is missing and why."""
    from pyroute2.netlink.exceptions import NetlinkError

    with _namespace() as clients:
        descriptor = os.open("/proc/self/ns/net", os.O_RDONLY)
        with _namespace() as server:
            try:
                server.link(
                    "add", ifname="link", kind="veth", address=_SERVER_MAC,
                    peer={"ifname": "link", "address": _CLIENTS_MAC, "net_ns_fd": descriptor},
                )  # fmt: skip
                _address(server, _SERVER, (_CLIENTS, _CLIENTS_MAC))
                _address(clients, _CLIENTS, (_SERVER, _SERVER_MAC))
                missing = {**_shape(server, shape), **_shape(clients, shape)}
            except NetlinkError as error:
                remedy = "a link needs CAP_NET_ADMIN and a kernel with CONFIG_VETH; or leave --link out"
                raise _Cannot(
                    f"the link between the namespaces could not be made: {os.strerror(error.code)}", remedy
                ) from error
    reason = " and ".join(dict.fromkeys(missing.values()))
    return {"clients": descriptor, "missing": list(missing), "reason": f"this kernel has no {reason}" if missing else ""}


def _address(end: Any, own: str, peer: tuple[str, str]) -> None:
    """Brings one end up, with the address of the other end in its neighbour table: no message waits for ARP."""
    (index,) = end.link_lookup(ifname="link")
    end.addr("add", index=index, address=own, prefixlen=30)
    end.link("set", index=index, state="up")
    end.link("set", index=1, state="up")  # lo, number 1 in every namespace
    end.neigh("add", ifindex=index, dst=peer[0], lladdr=peer[1], state=0x80)  # NUD_PERMANENT


def _shape(end: Any, shape: Shape) -> dict[str, str]:
    """Puts the disciplines on this end. Returns the figures that the kernel can't set, each with its discipline."""
    (index,) = end.link_lookup(ifname="link")
    missing, below = {}, {}
    if shape.rate:
        speed = shape.rate // 8
        burst = max(2_000, speed // 500)  # 2 ms worth, and never less than a packet
        if _has(end, "tbf", index, "1:", rate=speed, burst=burst, limit=_ROOM):
            below = {"parent": "1:1"}
        else:
            missing["rate"] = "tbf (CONFIG_NET_SCH_TBF)"
    unsure = {name: getattr(shape, name) for name in ("delay", "jitter", "loss") if getattr(shape, name)}
    options = {name: value / 10_000 if name == "loss" else value for name, value in unsure.items()}  # us, and percent
    if options and not _has(end, "netem", index, "2:", limit=_ROOM // 1_500, **options, **below):
        missing |= dict.fromkeys(unsure, "netem (CONFIG_NET_SCH_NETEM)")
    return missing


def _has(end: Any, discipline: str, index: int, handle: str, **options: Any) -> bool:
    """Adds a queueing discipline. False if the kernel knows none of that name."""
    from pyroute2.netlink.exceptions import NetlinkError

    try:
        end.tc("add", discipline, index, handle, **options)
    except NetlinkError as error:
        if error.code == errno.ENOENT:
            return False
        raise
    return True


def main() -> None:
    """`python -m runs.link PARENT SHAPE`: makes the link, describes it in JSON, and holds it until the process PARENT ends."""
    end_with_parent(int(sys.argv[1]))
    name_me("link")
    try:
        found = _join(parse(sys.argv[2]))
    except _Cannot as error:
        print(json.dumps(dict(zip(("problem", "remedy"), error.args, strict=True))))
        return
    print(json.dumps(found), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
