"""Whether everything has arrived: asked once a second after the world was healed.

Not asked of a lying peer, nor of a log that its owner may no longer continue. A log that forked does not converge: there,
everybody who was shown both branches must have frozen it with evidence.
"""

from typing import Any

from sync.checkpoint import read
from sync.log import has_log, head
from tests.sim.truth import on_one_branch


def unsettled(world: Any) -> str | None:
    """Return one thing that is not as it should be; None where all is."""
    for machine in world.machines:
        running = machine.running
        if running is None:
            return f"{machine.name} is not running"
        if _could_heal(world, machine):
            return f"{machine.name} is stopped ({running.node.gate.cause}) though a neighbour holds everything"
        for edge in machine.plan.pushes:
            source, target = machine, world.net.machines[edge.peer]
            left = _carried(world, source, target, edge.origin, by=target)
            if left is not None:
                return f"push {machine.name} to {edge.peer}: {left}"
        for edge in machine.plan.pulls:
            source, target = world.net.machines[edge.peer], machine
            left = _carried(world, source, target, edge.origin, by=target)
            if left is not None:
                return f"pull {machine.name} from {edge.peer}: {left}"
    return None


def _could_heal(world: Any, machine: Any) -> bool:
    """Tell whether a stopped node has an honest neighbour with all that its fence released and that it is shown as signed.

    A signed checkpoint whose entries nobody received stops a node as well; that is for persons, and another epoch.
    """
    running, origin = machine.running, machine.origin
    if not running.stopped or not running.node.gate.healable or world.watch.truth.forked(origin):
        return False
    peers = [world.net.machines[edge.peer] for edge in machine.plan.pushes if edge.origin == origin]
    holding = [head(peer.disk.db, origin) for peer in peers if peer.liar is None and has_log(peer.disk.db, origin)]
    needed = max(running.fence.state.released.size, running.node.gate.proven_size)
    return any(held.frozen is None and held.checkpoint_size >= needed for held in holding)


def _evidence(machine: Any, origin: str) -> int:
    row = machine.disk.db.execute("SELECT COUNT(*) FROM misbehaviour WHERE origin = ?", (origin,)).fetchone()
    return int(row[0])


def _carried(world: Any, source: Any, target: Any, origin: str, *, by: Any) -> str | None:
    """Return what is missing of one log at the target, where both ends are honest."""
    if source.liar is not None or target.liar is not None or not has_log(source.disk.db, origin):
        return None
    mine = head(source.disk.db, origin)
    theirs = head(target.disk.db, origin) if has_log(target.disk.db, origin) else None
    if mine.checkpoint is None or (theirs is not None and theirs.frozen is not None) or mine.frozen is not None:
        return None
    checkpoint, _ = read(mine.checkpoint)
    if theirs is None:
        return f"{origin} is not there"
    shown = world.watch.truth.find(origin, checkpoint.size, checkpoint.root)
    held = world.watch.point(target, origin)
    if not on_one_branch(shown, held):
        if source.origin != origin and _evidence(target, origin):
            return None  # a third party's tiles may be its own lie: they are kept, and freeze nothing
        return f"{origin} forked at {held.size} and {shown.size}, and it is not frozen"
    if max(held.size, theirs.promised) > shown.size:
        return None  # the source lost a part and may not go on, or hears of it from another side
    if held.size < shown.size:
        return f"{origin} has {held.size} of {shown.size} entries"
    if source is not target and not any(one.cosigner == by.who.cosigner.name for one in theirs.cosignatures):
        return f"{origin} is not cosigned"
    return None
