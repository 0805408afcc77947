"""A stopped node's files with one bit flipped: what the start, the gate, `erhai check` or SQLite say of it."""

from pathlib import Path
from random import Random

import apsw

from node.store import StoreFault
from sync.fence import Active, FenceFault, Rollback
from sync.merkle import MemoryHashes, leaf_hash, tree_root
from tests.faults.power_node import PowerNode, accepted, create
from tests.faults.power_vfs import Disk, powered


def truth(db: apsw.Connection) -> list[object]:
    """Everything that the log means, as rows."""
    tables = ("log_instance", "logs", "entries", "hash256")
    return [sorted(db.execute(f"SELECT * FROM {table}"), key=repr) for table in tables]


class Flipped:
    """An image of a stopped node's files, and what is said when one bit of it is another."""

    def __init__(self, folder: Path, *, checkpointed: bool, size: int = 600) -> None:
        self.disk = Disk(folder, Random(5))
        with powered(self.disk):
            create(self.disk)
            power = PowerNode(self.disk, checkpoint_pages=40)
            assert power.gate() == Active()
            for start in range(0, size, 30):
                accepted(power, 30, f"{start}.")
            if checkpointed:
                power.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self.disk.sync_all()
            self.image = self.disk.image()
            self.bodies = [body for _, body in sorted(power.bodies().items())]
            self.truth = truth(power.db)
            power.close()

    def said(self, name: str, bit: int) -> str:
        """Return what gate, check or SQLite say of it; nothing where nothing that the log means has changed."""
        self.disk.put(self.image)
        self.disk.flip(name, bit)
        with powered(self.disk):
            try:
                power = PowerNode(self.disk)
            except (StoreFault, FenceFault) as fault:
                return str(fault)
            try:
                verdict = power.gate()
                if isinstance(verdict, Rollback):
                    return f"gate: {verdict.cause} ({verdict.source})"
                found = power.differences()
                changed = self._changed(power)
                assert found or not changed, f"{name} bit {bit} changed {changed} and nobody says so"
                self._signs_the_true_tree(power)
                return "; ".join(f"{one.kind}: {one.where}: {one.why}" for one in found)
            except StoreFault as fault:
                return str(fault)
            finally:
                power.close()

    def _changed(self, power: PowerNode) -> str:
        try:
            now = truth(power.db)
        except (apsw.Error, UnicodeDecodeError) as error:
            return str(error)
        return next((str(table)[:80] for table, old in zip(now, self.truth, strict=True) if table != old), "")

    def _signs_the_true_tree(self, power: PowerNode) -> None:
        """A gate that opens over damage may only ever sign the tree of the true entries."""
        answers = power.group(["next"])
        if answers[0].error is not None:
            assert isinstance(answers[0].error, StoreFault)
            return
        leaves = [leaf_hash(body) for body in (*self.bodies, answers[0].result[1])]
        signed = power.fence.state.released
        assert (signed.size, signed.root) == (len(leaves), tree_root(MemoryHashes(leaves), len(leaves)))

    def said_of(self, count: int, rng: Random) -> list[str]:
        """Flip so many single bits, one after the other, anywhere in the database's files."""
        names = [name for name, data in self.image.items() if data and name != "fence"]
        chosen = rng.choices(names, [len(self.image[name]) for name in names], k=count)
        return [self.said(name, rng.randrange(8 * len(self.image[name]))) for name in chosen]
