"""What the real recovery of a stopped node needs around it: a node without pages and views, its links simulated."""

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from node.recorder import NodeFault
from node.verdict import report_of
from tests.sim.network import Net, SimLink

_NO_VIEWS = SimpleNamespace(
    drop_views=lambda _db: None,
    begin_again=lambda *_args: None,
    lags=lambda *_args: False,
    next_seq=lambda *_args: 0,
    caught_up=lambda *_args: None,
)


def bare_node(machine: Any, settings: Any, keys: Any, verdict: Any, *, store: Any, recorder: Any) -> Any:
    """Return what `node.recover` needs of a node that the gate has judged."""
    report = report_of(verdict)
    return SimpleNamespace(
        settings=settings,
        keys=keys,
        store=store,
        recorder=recorder,
        clock=SimpleNamespace(now=lambda: SimpleNamespace(at_ms=machine.now_ms())),
        feed=SimpleNamespace(publish=lambda _topics: None),
        around=SimpleNamespace(asked=()),
        gate=report,
        stopped=NodeFault(report.cause, "") if report.cause else None,
    )


def simulated_links(net: Net, patches: ExitStack) -> None:
    """Let recovery dial through the simulated network; there are no views to follow and nobody reads its log lines."""
    quiet = SimpleNamespace(warning=lambda *_args: None, error=lambda *_args: None)
    for module in ("node.recover", "node.ask_peers", "node.remembered"):
        patches.enter_context(patch(f"{module}.link_to", lambda peer, keys: SimLink(net, keys.machine, peer.name)))
        if module != "node.remembered":
            patches.enter_context(patch(f"{module}.log_once", lambda _error, _what: None))
    patches.enter_context(
        patch("node.ask_peers.found_before", lambda settings: settings)
    )  # everybody has an address here
    patches.enter_context(patch("node.recover.projection", _NO_VIEWS))
    patches.enter_context(patch("node.recover._logger", quiet))
