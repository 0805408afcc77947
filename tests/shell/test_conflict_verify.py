"""`erhai log verify` judges what `erhai log evidence` writes, by the log's key alone."""

import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.export import evidence_zip
from node.store import connect
from sync import succession
from sync.cli import OUTCOMES, cli_log
from sync.codec import encode, pack
from sync.conflict import SUCCESSION, Outcome
from sync.log import LOG_SCHEMA
from sync.note import Signer
from sync.tampered import Problem
from sync.witness import Misbehaviour, keep_evidence
from tests.data.sample_log import ORIGIN, SampleLog, policy_of, sample_entry, zipped

SEED = b"\x09" * 32


def other(size: int) -> SampleLog:
    """A branch of the same log, signed by its key: another first entry."""
    return SampleLog([encode(sample_entry(seq + 1000 if seq == 0 else seq)) for seq in range(size)])


def found(held: bytes, shown: bytes) -> Misbehaviour:
    return Misbehaviour(ORIGIN, Problem.TWO_BRANCHES, held, shown, b"\0" * 64, "b", 1_772_000_000_000)


@pytest.fixture
def written(tmp_path: Path):
    """Write the evidence as a node keeps and exports it."""

    def write(*pairs: tuple[bytes, bytes]) -> Path:
        db = connect(tmp_path / "erhai.db")
        db.execute(LOG_SCHEMA)
        for held, shown in pairs:
            keep_evidence(db, found(held, shown), freeze=False)
        path = tmp_path / "conflict.zip"
        path.write_bytes(evidence_zip(db))
        db.close()
        return path

    return write


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    path = tmp_path / "trusted.policy"
    path.write_bytes(bytes(policy_of(quorum=2)))
    return path


def verify(*arguments: object) -> Result:
    return CliRunner().invoke(cli_log, ["verify", *map(str, arguments)], env={"LANG": "zh_CN.UTF-8", "LC_ALL": ""})


def outcomes(done: Result) -> list[str]:
    return [one["outcome"] for one in json.loads(done.output)["findings"]]


def test_two_signed_roots_of_one_size_prove_two_histories_of_the_log(written, policy: Path) -> None:
    path = written((SampleLog.of(5).note(), other(5).note()))
    done = verify(path, "--policy", policy, "--json")
    assert done.exit_code == 4
    (one,) = json.loads(done.output)["findings"]
    assert (one["outcome"], one["origin"], one["held_size"], one["shown_size"]) == ("excludes", ORIGIN, 5, 5)
    assert one["held_root"] != one["shown_root"]
    words = verify(path, "--policy", policy).output
    assert OUTCOMES[Outcome.EXCLUDES][0] in words
    assert "unknown-member" not in words


def test_two_sizes_are_left_to_the_entries_and_no_key_verifies_nothing(written, policy: Path, tmp_path: Path) -> None:
    path = written((SampleLog.of(5).note(), other(7).note()))
    done = verify(path, "--policy", policy, "--json")
    assert (done.exit_code, outcomes(done)) == (0, ["needs-entries"])
    blind = verify(path, "--json")
    assert (blind.exit_code, outcomes(blind)) == (1, ["needs-key"])
    assert OUTCOMES[Outcome.NEEDS_KEY][0] in verify(path).output


def test_a_pair_that_the_logs_key_has_not_signed_proves_nothing(written, policy: Path) -> None:
    stranger = SampleLog(other(5).bodies, signer=Signer.from_seed(ORIGIN, SEED))
    changed = other(5).note().replace(b"\n5\n", b"\n6\n", 1)
    path = written((SampleLog.of(5).note(), stranger.note()), (SampleLog.of(5).note(), changed))
    done = verify(path, "--policy", policy, "--json")
    assert (done.exit_code, outcomes(done)) == (4, ["not-signed", "not-signed"])


def test_each_pair_is_judged_and_the_worst_decides(written, policy: Path) -> None:
    one, two = (pack((pack((SUCCESSION, word)), b"certificate", b"signature")) for word in ("x", "y"))
    path = written(
        (SampleLog.of(5).note(), SampleLog.of(5).note()),
        (one, two),
        (b"junk", SampleLog.of(5).note()),
        (SampleLog.of(5).note(), other(5).note()),
    )
    done = verify(path, "--policy", policy, "--json")
    assert outcomes(done) == ["agrees", "statements", "unreadable", "excludes"]
    assert done.exit_code == 4
    assert succession._WORD == SUCCESSION


def test_a_conflict_file_with_a_part_missing_changed_or_too_many_is_not_judged_as_good(
    written, policy: Path, tmp_path: Path
) -> None:
    path = written((SampleLog.of(5).note(), SampleLog.of(5).note()))
    with zipfile.ZipFile(path) as file:
        files = {name: file.read(name) for name in file.namelist()}
    broken = tmp_path / "broken.zip"
    broken.write_bytes(zipped({name: data for name, data in files.items() if name != "001/held"}))
    assert verify(broken, "--policy", policy).exit_code == 1
    broken.write_bytes(zipped(files | {"extra": b""}))
    assert verify(broken, "--policy", policy).exit_code == 4
    broken.write_bytes(path.read_bytes()[:-30])
    assert verify(broken, "--policy", policy).exit_code == 1
    broken.write_bytes(zipped(files | {"001/held": b"x" * 300_000}))
    assert verify(broken, "--policy", policy).exit_code == 4


def test_every_outcome_is_documented_and_has_words() -> None:
    page = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")
    assert set(OUTCOMES) == set(Outcome)
    for outcome in Outcome:
        assert f"| `{outcome}` |" in page
