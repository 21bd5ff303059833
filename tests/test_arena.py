"""The planner: what meets never overlaps, and no plan is smaller than one operator's needs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_aigc.converters.costs.arena import Lifetime, least_bytes, plan

LIFETIMES = st.lists(
    st.builds(
        lambda size_bytes, first, length: Lifetime(size_bytes=size_bytes, first=first, last=first + length),
        st.integers(0, 5000),
        st.integers(0, 20),
        st.integers(0, 8),
    ),
    max_size=25,
)


@given(LIFETIMES)
def test_tensors_that_live_at_once_never_overlap(lifetimes):
    offsets = plan(lifetimes).offsets
    for i, one in enumerate(lifetimes):
        for j, other in enumerate(lifetimes[:i]):
            if one.meets(other):
                apart = offsets[i] + one.size_bytes <= offsets[j] or offsets[j] + other.size_bytes <= offsets[i]
                assert apart, (one, offsets[i], other, offsets[j])


@given(LIFETIMES)
def test_a_plan_lies_between_what_one_operator_needs_and_everything_side_by_side(lifetimes):
    size = plan(lifetimes).size_bytes
    assert least_bytes(lifetimes) <= size <= sum(entry.size_bytes + 63 for entry in lifetimes)


@given(LIFETIMES)
def test_offsets_are_aligned_and_within_the_arena(lifetimes):
    arena = plan(lifetimes, align_bytes=16)
    for offset, entry in zip(arena.offsets, lifetimes, strict=True):
        assert offset % 16 == 0
        assert 0 <= offset <= arena.size_bytes - entry.size_bytes


def test_a_chain_needs_only_its_two_largest_neighbours():
    chain = [Lifetime(size_bytes=64 * size, first=i, last=i + 1) for i, size in enumerate((1, 8, 4, 8, 2))]
    assert plan(chain).size_bytes == 64 * 12


def test_nothing_needs_nothing():
    assert plan([]).size_bytes == least_bytes([]) == 0
