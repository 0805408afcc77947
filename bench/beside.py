"""Us beside other people's programs, in turns within one run: each figure is a median, each ratio is ours to theirs (对比)."""

import asyncio
import statistics
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench import outage
from bench.outage import Back, Outage
from bench.own import bulk, fill, say
from bench.peers import PeerMissing, eventsourcing, litestream, nats, pouch
from bench.peers.litestream import Loss

Figures = dict[str, object]
_BOUND_S = 400  # for one round of one peer, with the making of its messages


def missing(peer: PeerMissing) -> Figures:
    """Say that a peer was not measured, and why."""
    say(f"  {peer}")
    return {"not_measured": str(peer)}


def back_again(folder: Path, what: Outage, rounds: int) -> Figures:
    """Measure an outage of ours, of NATS whose hub fsyncs always, and of NATS as it comes, in turns."""
    word = "link cut" if what.how == "cut" else "receiver kill -9 and restart"
    say(f"after a {word} of at least {what.seconds:.0f} s, {what.count:,} entries made meanwhile (median of {rounds})")
    ways: dict[str, Callable[[Path], Awaitable[Back]]] = {"erhai": lambda path: outage.ours(path, what)}
    found: Figures = {}
    try:
        nats.client()
        name = nats.version()
        ways[f"{name}, hub always fsyncs"] = lambda path: nats.measure(path, what, always=True)
        ways[f"{name}, defaults"] = lambda path: nats.measure(path, what, always=False)
    except PeerMissing as peer:
        found["nats"] = missing(peer)
    seen: dict[str, list[Back]] = {name: [] for name in ways}
    for turn in range(rounds):
        for number, (name, measure) in enumerate(ways.items()):
            path = folder / f"{what.how}-{turn}-{number}"
            path.mkdir()
            try:
                seen[name].append(asyncio.run(_bounded(measure(path))))
            except TimeoutError:
                say(f"  {name}: round {turn + 1} not measured: not over within {_BOUND_S} s")
    medians = {name: _median(rows) for name, rows in seen.items() if rows}
    base = medians.get("erhai")
    for name, one in medians.items():
        compared = f"  (it listened after {one.ready_s:.2f} s)" if one.ready_s else ""
        if base is not None and one is not base:
            compared = f"  theirs to ours: first x {one.first_s / base.first_s:.1f}, all x {one.all_s / base.all_s:.1f}"
        worst = max(row.all_s for row in seen[name])
        say(f"  {name:42} first {one.first_s:6.2f} s  all {one.all_s:6.2f} s  (worst all {worst:.2f} s){compared}")
        found[name] = {
            "first_s": one.first_s,
            "ready_s": one.ready_s,
            "all_s": one.all_s,
            "worst_all_s": worst,
            "rounds": len(seen[name]),
        }
    return found


async def _bounded(measuring: Awaitable[Back]) -> Back:
    async with asyncio.timeout(_BOUND_S):
        return await measuring


def _median(rows: list[Back]) -> Back:
    middle = statistics.median
    return Back(
        middle(row.first_s for row in rows), middle(row.all_s for row in rows), middle(row.ready_s for row in rows)
    )


def documents(folder: Path, count: int, rounds: int) -> Figures:
    """Measure a new neighbour's catch-up of ours and of PouchDB, in turns."""
    say(f"a new neighbour takes {count:,} entries or documents of 430 bytes (median of {rounds})")
    ours: list[float] = []
    theirs: list[float] = []
    found: Figures = {}
    for turn in range(rounds):
        own = folder / f"own-{turn}"
        outage.make_pair(own)
        fill(own / "from", "from", count, views=False)
        ours.append(asyncio.run(outage.fresh(own, count)))
        if "pouchdb" not in found:
            other = folder / f"pouch-{turn}"
            other.mkdir()
            try:
                theirs.append(pouch.catch_up(other, count))
            except PeerMissing as peer:
                found["pouchdb"] = missing(peer)
    rate = statistics.median(ours)
    say(f"  {'erhai, signed, proof-checked, FULL, mTLS':42} {rate:9,.0f}/s")
    found["erhai_per_s"] = rate
    if theirs:
        peer_rate = statistics.median(theirs)
        say(f"  {pouch.NAME:42} {peer_rate:9,.0f}/s  ours to theirs {rate / peer_rate:.1f}")
        found["pouchdb"] = {"per_s": peer_rate, "ratio": rate / peer_rate}
    return found


def losses(folder: Path, rounds: int) -> Figures:
    """Count what is missing after a kill -9 and the loss of the disk: on Litestream's replica, and at the neighbour."""
    try:
        say(
            f"entries missing after kill -9 of the node and loss of its disk ({rounds} kills each; {litestream.version()})"
        )
    except PeerMissing as peer:
        return missing(peer)
    seen: dict[str, list[Loss]] = {"200 ms": [], "defaults": []}
    for turn in range(rounds):
        for name, rows in seen.items():
            path = folder / f"{name.replace(' ', '')}-{turn}"
            path.mkdir()
            rows.append(litestream.one_loss(path, defaults=name == "defaults"))
    everything = [one for rows in seen.values() for one in rows]
    ways = {
        f"Litestream, {name}": ([one.replica_lost for one in rows], [one.replica_lost_witnessed for one in rows])
        for name, rows in seen.items()
    }
    ways["the neighbour's mirror"] = (
        [one.mirror_lost for one in everything],
        [one.mirror_lost_witnessed for one in everything],
    )
    found: Figures = {"entries_per_s": statistics.median(one.per_s for one in everything)}
    for name, (acknowledged, witnessed) in ways.items():
        say(
            f"  {name:24} of the acknowledged: median {statistics.median(acknowledged):.0f}, worst {max(acknowledged)};"
            f"  of those shown as witnessed: median {statistics.median(witnessed):.0f}, worst {max(witnessed)}"
        )
        found[name] = {"acknowledged_lost": acknowledged, "witnessed_lost": witnessed}
    say(
        f"  at {found['entries_per_s']:.0f} entries a second; with witness = required nothing is acknowledged unwitnessed"
    )
    return found


def event_library(folder: Path, own: dict[str, dict[str, float]], seconds: float, rounds: int) -> Figures:
    """Measure the `eventsourcing` library beside what `acknowledged` found of ours."""
    try:
        say(f"{eventsourcing.version()} with SQLite, FULL (median of {rounds}; ours in the same run)")
    except PeerMissing as peer:
        return missing(peer)
    ways: dict[str, Callable[[Path], float]] = {
        "their aggregates, 1 event a save": lambda path: eventsourcing.aggregates(path, seconds, 1),
        "their aggregates, 100 events a save": lambda path: eventsourcing.aggregates(path, seconds, 100),
        "their recorder, 1 event a transaction": lambda path: eventsourcing.recorder(path, seconds, 1),
        "their recorder, 1,000 events a transaction": lambda path: eventsourcing.recorder(path, seconds, 1_000),
        "our log, 1,000 entries a transaction, signed": lambda path: bulk(path, seconds, 1_000),
    }
    seen: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        for number, (name, measure) in enumerate(ways.items()):
            seen[name].append(measure(folder / f"events-{turn}-{number}.db"))
    rates = {name: statistics.median(rows) for name, rows in seen.items()}
    for name, rate in rates.items():
        say(f"  {name:46} {rate:9,.0f}/s")
    pairs = (
        ("full path, 1 client", "their aggregates, 1 event a save"),
        ("full path, 64 clients", "their aggregates, 1 event a save"),
        ("full path, 1000 clients", "their aggregates, 1 event a save"),
        ("bare log, 1 client", "their recorder, 1 event a transaction"),
        ("bare log, 64 clients", "their recorder, 1 event a transaction"),
        ("bare log, 1000 clients", "their recorder, 1 event a transaction"),
    )
    ratios = {f"{ours} : {theirs}": own[ours]["per_s"] / rates[theirs] for ours, theirs in pairs if ours in own}
    batch = ("our log, 1,000 entries a transaction, signed", "their recorder, 1,000 events a transaction")
    ratios[" : ".join(batch)] = rates[batch[0]] / rates[batch[1]]
    for name, ratio in ratios.items():
        say(f"  ratio {ratio:6.2f}  {name}")
    return {"per_s": rates, "ratios": ratios}
