"""The accounts file: one person has one account where certificates are asked for."""

from pathlib import Path

import pytest

from node.people import PeopleFault, load_people


def _file(folder: Path, *holders: str) -> Path:
    rows = (
        f'[[person]]\nno = "P-{at}"\nname = "某人"\nrole = "operator"\npin_hash = ""\nholder = "{holder}"\n'
        for at, holder in enumerate(holders, 1)
    )
    path = folder / "people.toml"
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_two_accounts_with_the_same_holder_are_refused_and_both_are_named(tmp_path: Path) -> None:
    with pytest.raises(PeopleFault) as fault:
        load_people(_file(tmp_path, "k1", "k2", "k1"))
    assert "P-1" in fault.value.why
    assert "P-3" in fault.value.why
    assert "k1" not in fault.value.why


def test_accounts_without_a_certificate_stand_beside_each_other(tmp_path: Path) -> None:
    assert len(load_people(_file(tmp_path, "", "", "k1"))) == 3
