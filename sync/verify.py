"""Verifying a bundle without us: every byte is checked against one signed checkpoint, in the order of docs/verify.md.

Trust comes from the policy and nothing else. The first thing that does not fit is named; nothing after it is looked at,
because it would rest on what is already known to be wrong. One tile and its entries are in memory at a time.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sync.checkpoint import Checkpoint, Opened, open_checkpoint, read
from sync.codec import blobs_of, decode
from sync.members import Members, MemoryMembers
from sync.merkle import Frontier, leaf_hash, tree_root, verify_inclusion
from sync.note import SignedNote
from sync.policy import Policy
from sync.proof import parse
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import WIDTH, TileHashes, TilePath, decode_bundle, decode_tile, parse_tile_path, tiles_of, width_of


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found. `trust` is "policy" where the verifier brought one, "bundled" where the bundle's own was used.

    `size` and `cosigners` say what a good bundle proves: so many entries, and whose cosignatures cover them.
    """

    ok: bool
    problem: Problem | None
    origin: str | None
    seq: int | None
    expected: str | None
    got: str | None
    trust: str
    detail: str = ""
    size: int | None = None
    cosigners: tuple[str, ...] = ()

    def facts(self) -> dict[str, object]:
        """Return the fields of the JSON answer, in their order."""
        names = ("ok", "problem", "origin", "seq", "expected", "got", "trust")
        return {name: getattr(self, name) for name in names}


def trust_of(policy: Policy | None) -> str:
    """Return the word for where trust comes from."""
    return "bundled" if policy is None else "policy"


def verdict_of(tampered: Tampered, trust: str) -> Verdict:
    """Return the verdict for evidence that does not fit, fit for a terminal: evidence may hold hostile text."""
    return Verdict(
        ok=False,
        problem=tampered.problem,
        origin=_plain(tampered.origin),
        seq=tampered.seq,
        expected=_plain(tampered.expected),
        got=_plain(tampered.got),
        trust=trust,
        detail=_plain(tampered.detail) or "",
    )


def verify_bundle(files: Members | Mapping[str, bytes], policy: Policy | None, seen: bytes | None) -> Verdict:
    """Check everything in a bundle. `seen` is a checkpoint that the verifier kept from before.

    Raises Malformed only for `seen`: the verifier's own file. Everything in the bundle that cannot be read has a problem.
    """
    trust = trust_of(policy)
    known = None if seen is None else read(seen)
    origin: str | None = None
    try:
        members = MemoryMembers(files) if isinstance(files, Mapping) else files
        used = _policy(members, policy)
        opened = _checkpoint(members, used)
        origin = opened.checkpoint.origin
        _Bundle(members, used, opened).check(known)
    except Tampered as tampered:
        tampered.origin = tampered.origin or origin
        return verdict_of(tampered, trust)
    return Verdict(
        ok=True,
        problem=None,
        origin=_plain(origin),
        seq=None,
        expected=None,
        got=None,
        trust=trust,
        size=opened.checkpoint.size,
        cosigners=tuple(cosignature.name for cosignature in opened.cosignatures),
    )


def _policy(members: Members, given: Policy | None) -> Policy:
    try:
        bundled = Policy.parse(members.read("policy"))
    except Malformed as malformed:
        raise Tampered(Problem.MALFORMED_POLICY, got=str(malformed)) from None
    except KeyError:
        if given is None:
            raise Tampered(Problem.MISSING_POLICY, expected="policy") from None
        return given
    return given or bundled


def _checkpoint(members: Members, policy: Policy) -> Opened:
    try:
        return policy.open(members.read("checkpoint"))
    except KeyError:
        raise Tampered(Problem.MISSING_CHECKPOINT, expected="checkpoint") from None
    except Malformed as malformed:
        raise Tampered(Problem.MALFORMED_CHECKPOINT, got=str(malformed)) from None


class _Bundle:
    """The checks behind the checkpoint, each on what those before it have shown."""

    def __init__(self, members: Members, policy: Policy, opened: Opened) -> None:
        self.members = members
        self.policy = policy
        self.checkpoint = opened.checkpoint
        self.hashes = TileHashes(members.read, opened.checkpoint.size)
        self.names = set(members.names())
        self.blobs = {name.removeprefix("blobs/") for name in self.names if name.startswith("blobs/")}

    def check(self, seen: tuple[Checkpoint, SignedNote] | None) -> None:
        if seen is not None:
            self._seen_is_ours(*seen)
        self._tiles_are_there()
        self._tiles_make_the_root()
        self._entries_fit()
        if seen is not None:
            self._continues(seen[0], "the checkpoint seen before")
        for name in sorted(name for name in self.names if name.startswith("proofs/")):
            self._proof_holds(name)
        self._blobs_fit()
        damaged = self.members.damaged()
        if damaged is not None:
            raise Tampered(Problem.DAMAGED_MEMBER, got=damaged, detail="its checksum in the ZIP does not fit")

    # -- against what was seen before --------------------------------------------------------------------------------

    def _seen_is_ours(self, seen: Checkpoint, note: SignedNote) -> None:
        """The checkpoint seen before is of this log and signed; size and, at the same size, root are compared at once."""
        if seen.origin != self.checkpoint.origin:
            raise Tampered(Problem.WRONG_LOG, expected=seen.origin, got=self.checkpoint.origin, detail="seen before")
        try:
            open_checkpoint(bytes(note), self.policy.keys)
        except Tampered as tampered:
            tampered.detail = "the checkpoint seen before"
            raise
        if seen.size >= self.checkpoint.size:
            self._continues(seen, "the checkpoint seen before")

    def _continues(self, old: Checkpoint, what: str) -> None:
        """Check that this tree continues another signed checkpoint of the same log."""
        new = self.checkpoint
        if new.size < old.size:
            raise Tampered(Problem.ROLLED_BACK, expected=str(old.size), got=str(new.size), detail=what)
        root = new.root if new.size == old.size else tree_root(self.hashes, old.size)
        if root != old.root:
            problem = Problem.TWO_BRANCHES if new.size == old.size else Problem.INCONSISTENT_HISTORY
            raise Tampered(problem, expected=old.root.hex(), got=root.hex(), detail=f"{what}, root at size {old.size}")

    # -- tiles -------------------------------------------------------------------------------------------------------

    def _tiles_are_there(self) -> None:
        """Exactly the tiles of this size are there, by name."""
        size = self.checkpoint.size
        found = {name: _tile_path(name) for name in self.names if name.startswith("tile/")}
        held = sum(path.width for path in found.values() if path.level is None)
        last = max((path.n * WIDTH + path.width for path in found.values() if path.level is None), default=0)
        spare = set(found)
        for path in tiles_of(size):
            name = str(path)
            if name in spare:
                spare.remove(name)
                continue
            other = sorted(str(one) for one in found.values() if (one.level, one.n) == (path.level, path.n))
            seq = path.n * WIDTH ** ((path.level or 0) + 1)
            if path.level is None and last < size and held == last:
                raise Tampered(Problem.MISSING_ENTRIES, seq=last, expected=str(size), got=str(last), detail=name)
            if other:
                raise Tampered(Problem.WRONG_WIDTH, seq=seq, expected=name, got=other[0])
            raise Tampered(Problem.MISSING_TILE, seq=seq, expected=name)
        if spare:
            raise Tampered(Problem.UNKNOWN_MEMBER, got=min(spare), detail=f"no tile of a log of {size} entries")

    def _row(self, level: int, n: int) -> list[bytes]:
        """Return the hashes of one tile, as many as it must have."""
        width = width_of(level, n, self.checkpoint.size)
        name = str(TilePath(level, n, width))
        try:
            row = decode_tile(self.members.read(name))
        except Malformed as malformed:
            raise Tampered(
                Problem.MALFORMED_TILE, seq=n * WIDTH ** (level + 1), expected=name, got=str(malformed)
            ) from None
        if len(row) != width:
            raise Tampered(
                Problem.MALFORMED_TILE,
                seq=n * WIDTH ** (level + 1),
                expected=f"{name} with {width} hashes",
                got=f"{len(row)} hashes",
            )
        return row

    def _tiles_make_the_root(self) -> None:
        """The tiles of level 0 give the hashes of every higher tile, and all of them the root that was signed."""
        size = self.checkpoint.size
        below: list[bytes] = []  # roots of the full tiles of the level just read
        frontier = Frontier()
        for n in range(-(-size // WIDTH)):
            row = self._row(0, n)
            if len(row) == WIDTH:
                below.append(Frontier().extend(row).root())
            else:
                frontier = Frontier().extend(row)
        full = Frontier().extend(below)
        root = Frontier(size, (*full.hashes, *frontier.hashes)).root()
        good = root == self.checkpoint.root
        level = 1
        while below:
            above: list[bytes] = []
            for n in range(-(-len(below) // WIDTH)):
                row, made = self._row(level, n), below[n * WIDTH : (n + 1) * WIDTH]
                if row != made:
                    place = next(i for i, (one, other) in enumerate(zip(row, made, strict=True)) if one != other)
                    seq = (n * WIDTH + place) * WIDTH**level
                    if good:
                        name = str(TilePath(level, n, len(row)))
                        raise Tampered(
                            Problem.CHANGED_TILE, seq=seq, expected=made[place].hex(), got=row[place].hex(), detail=name
                        )
                    raise self._bad_root(root, seq, f"entries {seq} to {seq + WIDTH**level - 1}")
                if len(made) == WIDTH:
                    above.append(Frontier().extend(made).root())
            below, level = above, level + 1
        if not good:
            raise self._bad_root(root, None, "")

    def _bad_root(self, root: bytes, seq: int | None, where: str) -> Tampered:
        """Find out why level 0 does not give the signed root: its hashes, the entries' order, or all of it."""
        leaves: Iterable[bytes] = (leaf_hash(body) for _, body in self._bodies())
        if Frontier().extend(leaves).root() == self.checkpoint.root:
            for place, body in self._bodies():
                expected, got = leaf_hash(body), self.hashes.hashes(0, place, place + 1)[0]
                if expected != got:
                    name = str(TilePath(0, place // WIDTH, width_of(0, place // WIDTH, self.checkpoint.size)))
                    return Tampered(
                        Problem.CHANGED_TILE, seq=place, expected=expected.hex(), got=got.hex(), detail=name
                    )
        for place, body in self._bodies():
            claimed = _place_of(body)
            if claimed is not None and claimed != place:
                back = self._body_at(claimed)
                swapped = back is not None and _place_of(back) == place
                problem = Problem.SWAPPED_ENTRIES if swapped else Problem.MISPLACED_ENTRY
                return Tampered(problem, seq=place, expected=str(place), got=str(claimed), detail="and no signed root")
        return Tampered(
            Problem.ROOT_MISMATCH, seq=seq, expected=self.checkpoint.root.hex(), got=root.hex(), detail=where
        )

    # -- entries -----------------------------------------------------------------------------------------------------

    def _bundle(self, n: int) -> list[bytes]:
        name = str(TilePath(None, n, width_of(None, n, self.checkpoint.size)))
        try:
            return decode_bundle(self.members.read(name))
        except Malformed as malformed:
            raise Tampered(Problem.MALFORMED_TILE, seq=n * WIDTH, expected=name, got=str(malformed)) from None

    def _bodies(self) -> Iterator[tuple[int, bytes]]:
        for n in range(-(-self.checkpoint.size // WIDTH)):
            yield from enumerate(self._bundle(n), start=n * WIDTH)

    def _body_at(self, seq: int) -> bytes | None:
        if not 0 <= seq < self.checkpoint.size:
            return None
        bodies = self._bundle(seq // WIDTH)
        return bodies[seq % WIDTH] if seq % WIDTH < len(bodies) else None

    def _entries_fit(self) -> None:
        """Every entry hashes to its place in level 0, and says of itself that it belongs there."""
        origin = self.checkpoint.origin
        for n in range(-(-self.checkpoint.size // WIDTH)):
            bodies, row = self._bundle(n), self._row(0, n)
            leaves = [leaf_hash(body) for body in bodies]
            if leaves != row:
                raise self._odd_entry(n, bodies, leaves, row)
            for seq, body in enumerate(bodies, start=n * WIDTH):
                try:
                    entry = decode(body)
                except Malformed as malformed:
                    raise Tampered(Problem.MALFORMED_ENTRY, seq=seq, got=str(malformed)) from None
                if (entry.origin, entry.seq) != (origin, seq):
                    raise Tampered(
                        Problem.MISPLACED_ENTRY, seq=seq, expected=f"{origin} {seq}", got=f"{entry.origin} {entry.seq}"
                    )
                for sha256 in blobs_of(entry):
                    if sha256 not in self.blobs:
                        raise Tampered(Problem.MISSING_BLOB, seq=seq, expected=f"blobs/{sha256}")

    def _odd_entry(self, n: int, bodies: list[bytes], leaves: list[bytes], row: list[bytes]) -> Tampered:
        """Say what happened to a bundle whose entries do not hash to a tile that is known to be right."""
        pairs = enumerate(zip(leaves, row, strict=False))
        at = next((i for i, (leaf, right) in pairs if leaf != right), min(len(leaves), len(row)))
        seq = n * WIDTH + at
        expected = row[at].hex() if at < len(row) else None
        got = leaves[at].hex() if at < len(leaves) else None
        if len(leaves) != len(row):
            problem = Problem.DROPPED_ENTRY if len(leaves) < len(row) else Problem.EXTRA_ENTRY
            counts = f"{len(leaves)} entries, not {len(row)}"
            return Tampered(problem, seq=seq, expected=expected, got=got, detail=counts)
        problem = Problem.CHANGED_ENTRY
        if leaves[at] in row:
            moved_up = at + 1 < len(row) and leaves[at:-1] == row[at + 1 :]
            problem = Problem.DROPPED_ENTRY if moved_up else Problem.SWAPPED_ENTRIES
        else:
            claimed = _place_of(bodies[at])
            if claimed is not None and claimed != seq and 0 <= claimed < self.checkpoint.size:
                elsewhere = self.hashes.hashes(0, claimed, claimed + 1)[0]
                problem = Problem.SWAPPED_ENTRIES if elsewhere == leaves[at] else problem
        return Tampered(problem, seq=seq, expected=expected, got=got)

    # -- proofs and blobs --------------------------------------------------------------------------------------------

    def _proof_holds(self, name: str) -> None:
        """A receipt is of this log, signed, of this history, and leads from its entry to its root."""
        try:
            proof = parse(self.members.read(name))
        except Malformed as malformed:
            raise Tampered(Problem.MALFORMED_PROOF, expected=name, got=str(malformed)) from None
        try:
            checkpoint = open_checkpoint(proof.checkpoint, self.policy.keys).checkpoint
        except Tampered as tampered:
            tampered.detail = name
            if tampered.problem is Problem.WRONG_LOG:
                tampered.problem = Problem.FOREIGN_PROOF
            raise
        if checkpoint.origin != self.checkpoint.origin:
            raise Tampered(Problem.FOREIGN_PROOF, expected=self.checkpoint.origin, got=checkpoint.origin, detail=name)
        self._continues(checkpoint, name)
        if proof.index >= checkpoint.size:
            raise Tampered(
                Problem.WRONG_PROOF,
                seq=proof.index,
                expected=f"below {checkpoint.size}",
                got=str(proof.index),
                detail=name,
            )
        leaf = self.hashes.hashes(0, proof.index, proof.index + 1)[0]
        try:
            verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
        except Tampered as tampered:
            tampered.seq = proof.index
            tampered.detail = name
            raise

    def _blobs_fit(self) -> None:
        for sha256 in sorted(self.blobs):
            digest = hashlib.sha256()
            for chunk in self.members.chunks(f"blobs/{sha256}"):
                digest.update(chunk)
            if digest.hexdigest() != sha256:
                raise Tampered(Problem.CHANGED_BLOB, expected=sha256, got=digest.hexdigest())


def _tile_path(name: str) -> TilePath:
    try:
        return parse_tile_path(name)
    except Malformed:
        raise Tampered(Problem.UNKNOWN_MEMBER, got=name) from None


def _place_of(body: bytes) -> int | None:
    """Return the seq that an entry says it has, or None if it is no entry."""
    try:
        return decode(body).seq
    except Malformed:
        return None


def _plain(text: str | None) -> str | None:
    return None if text is None else plain(text)


def plain(text: str) -> str:
    """Return a text with everything that does not print spelled as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
