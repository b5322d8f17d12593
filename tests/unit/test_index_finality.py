"""Which blocks can no longer be replaced."""

import pytest

from relay.index.finality import Finality, FinalityRule
from relay.model import Block
from tests.unit.test_index_source import FakeNode, chain


class Finalizing(FakeNode):
    """A node that takes a block for final, and counts how often it is asked."""

    def __init__(self, final: int | None) -> None:
        super().__init__(chain(1000))
        self.final = final
        self.times_asked = 0

    def finalized(self) -> Block | None:
        self.times_asked += 1
        return None if self.final is None else self.served[self.final]


def number(node: Finalizing, head: int, rule: FinalityRule = FinalityRule.NODE) -> int:
    return Finality(node, rule, 128).number(node.served[head])


@pytest.mark.parametrize(("final", "head", "expected"), [(700, 800, 700), (300, 800, 300), (800, 750, 750)])
def test_the_node_s_word_counts_whatever_the_depth(final: int, head: int, expected: int) -> None:
    assert number(Finalizing(final), head) == expected


@pytest.mark.parametrize(
    ("final", "head", "expected"), [(None, 800, 672), (None, 100, 0), (0, 800, 672), (0, 100, 0)]
)
def test_a_node_that_knows_of_no_final_block_leaves_it_to_the_depth(
    final: int | None, head: int, expected: int
) -> None:
    assert number(Finalizing(final), head) == expected


def test_by_the_depth_alone_the_node_is_not_asked() -> None:
    node = Finalizing(790)
    assert number(node, 800, FinalityRule.DEPTH) == 672
    assert node.times_asked == 0


def test_the_node_is_asked_again_after_some_blocks_and_on_request() -> None:
    node = Finalizing(700)
    finality = Finality(node, FinalityRule.NODE, 128)
    for head in range(800, 810):
        assert finality.number(node.served[head]) == 700
    assert node.times_asked == 1
    node.final = 790
    assert finality.number(node.served[810]) == 700
    assert finality.number(node.served[810], anew=True) == 790
    assert finality.number(node.served[900]) == 790
    assert node.times_asked == 3


def test_a_head_that_went_back_is_asked_about_anew() -> None:
    node = Finalizing(700)
    finality = Finality(node, FinalityRule.NODE, 128)
    finality.number(node.served[800])
    node.final = 600
    assert finality.number(node.served[799]) == 600
