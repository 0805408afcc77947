"""What is sealed of a person has a size that names nobody."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import personal
from sync.codec import pack


@given(st.lists(st.text(max_size=90), max_size=9))
def test_personal_data_is_sealed_in_steps_and_reads_back(fields):
    bound = personal.bind("expert", tuple(fields))
    data = personal.packed(bound)
    assert len(data) % personal.STEP == 0
    assert personal.unpacked("expert", data) == bound


@pytest.mark.parametrize("size", range(600))
def test_no_size_falls_between_the_steps(size):
    assert len(personal.pack_padded((bytes(size),))) % personal.STEP == 0


def test_what_was_sealed_before_sizes_were_hidden_is_still_read():
    bound = personal.bind("bidder", ("甲公司", "91"))
    assert personal.unpacked("bidder", pack((bound.salt, bound.fields))) == bound
