"""What an all-knowing observer knows: every history that was ever committed under an origin, as a tree of points."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from sync.merkle import Frontier, leaf_hash


@dataclass(frozen=True, eq=False, slots=True)
class Point:
    """One log at one size: the tree over its entries, and the point one entry earlier."""

    frontier: Frontier
    root: bytes
    parent: "Point | None"

    @property
    def size(self) -> int:
        return self.frontier.size


def on_one_branch(one: Point, other: Point) -> bool:
    """Tell whether one of two points is a prefix of the other."""
    low, high = (one, other) if one.size <= other.size else (other, one)
    while high.size > low.size:
        if high.parent is None:
            return False
        high = high.parent
    return high is low


class Truth:
    """The points of every log; `tips` are the ends of its branches: more than one is a fork."""

    def __init__(self) -> None:
        self._points: dict[str, dict[tuple[int, bytes], Point]] = defaultdict(dict)
        self.tips: dict[str, list[Point]] = defaultdict(list)

    def start(self, origin: str) -> Point:
        empty = Frontier()
        return self._points[origin].setdefault((0, empty.root()), Point(empty, empty.root(), None))

    def find(self, origin: str, size: int, root: bytes) -> Point | None:
        self.start(origin)
        return self._points[origin].get((size, root))

    def grow(self, origin: str, at: Point, bodies: Sequence[bytes]) -> Point:
        """Take what the owner committed behind `at`; it signed a checkpoint over the end of it."""
        for body in bodies:
            frontier = at.frontier.append(leaf_hash(body))
            key = (frontier.size, frontier.root())
            at = self._points[origin].setdefault(key, Point(frontier, key[1], at))
        tips = [tip for tip in self.tips[origin] if tip.size > at.size or not on_one_branch(tip, at)]
        if not any(on_one_branch(tip, at) for tip in tips):
            tips.append(at)
        self.tips[origin] = tips
        return at

    def forked(self, origin: str) -> bool:
        return len(self.tips[origin]) > 1
