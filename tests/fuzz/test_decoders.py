"""Whatever bytes come: a decoder answers with a value or with its own refusal, takes memory by the input's size, and what it
accepts it would write the same way.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.decoders import decoders
from tests.fuzz.long_run import judged, memory_of
from tests.fuzz.mutation import mutated

STEPS = st.lists(
    st.tuples(st.integers(0, 63), st.integers(0, 65_535), st.integers(0, 2**32 - 1)), min_size=1, max_size=5
)
BY_NAME = {decoder.name: decoder for decoder in decoders()}


@pytest.mark.parametrize("name", BY_NAME)
def test_a_valid_sample_is_read_and_written_the_same(name: str) -> None:
    decoder = BY_NAME[name]
    outcomes = [judged(decoder, sample) for sample in decoder.samples]
    assert "accepted" in outcomes


@pytest.mark.parametrize("name", BY_NAME)
@settings(max_examples=120)
@given(which=st.integers(0, 1_000), steps=STEPS)
def test_damaged_bytes_end_in_a_value_or_the_decoders_own_refusal(name: str, which: int, steps: list) -> None:
    decoder = BY_NAME[name]
    judged(decoder, mutated(decoder.samples[which % len(decoder.samples)], decoder.samples, steps))


@pytest.mark.parametrize("name", BY_NAME)
@settings(max_examples=12)
@given(which=st.integers(0, 1_000), steps=STEPS)
def test_no_bytes_make_a_decoder_take_memory_out_of_proportion(name: str, which: int, steps: list) -> None:
    decoder = BY_NAME[name]
    data = mutated(decoder.samples[which % len(decoder.samples)], decoder.samples, steps)
    assert memory_of(decoder, data) <= decoder.memory_factor * len(data) + (1 << 20)


@pytest.mark.parametrize("name", BY_NAME)
@settings(max_examples=30)
@given(data=st.binary(max_size=200))
def test_any_bytes_at_all_end_in_a_value_or_a_refusal(name: str, data: bytes) -> None:
    judged(BY_NAME[name], data)
