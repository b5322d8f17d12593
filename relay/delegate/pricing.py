"""What the relay offers for its transactions, and what it offers more if nobody takes them. Pure; in wei."""

from collections.abc import Callable
from dataclasses import dataclass

from relay.chain.sending import Market
from relay.chain.signing import Fee

REPLACEMENT_NUMERATOR, REPLACEMENT_DENOMINATOR = 9, 8
"""Nodes replace a transaction only by one that offers at least a tenth more; this is an eighth."""

PATIENCE = 10
"""With the node's prices, a transaction that does not get through costs at most so many times as much."""


@dataclass(frozen=True, slots=True)
class Pricing:
    """How fees are found: ``suggest`` for a first attempt, ``ceiling`` is the most a replacement may offer."""

    suggest: Callable[[Market], Fee]
    ceiling: Callable[[Market], int]

    def replacement(self, offered: Fee, market: Market) -> Fee | None:
        """Return the fee of the next attempt, None if it would have to be above the ceiling."""
        suggested = self.suggest(market)
        max_fee = max(raised(offered.max_fee), suggested.max_fee)
        if max_fee > self.ceiling(market):
            return None
        if offered.tip is None:
            return Fee(max_fee, None)
        # Both parts must rise, or the node takes it for no replacement.
        return Fee(max_fee, min(max_fee, max(raised(offered.tip), suggested.tip or 0)))


def raised(price: int) -> int:
    """Return the least price by which another is replaced."""
    return price * REPLACEMENT_NUMERATOR // REPLACEMENT_DENOMINATOR + 1


def by_node() -> Pricing:
    """Return the pricing that follows the node."""
    return Pricing(_suggested, lambda market: PATIENCE * _suggested(market).max_fee)


def fixed(price: int) -> Pricing:
    """Return the pricing that always offers the same; then nothing can be replaced."""

    def suggest(market: Market) -> Fee:
        return Fee(price, None if market.base_fee is None else price)

    return Pricing(suggest, lambda _: price)


def bound(lowest: int, highest: int) -> Pricing:
    """Return the pricing that follows the node within bounds; replacements stay below ``highest`` too."""

    def suggest(market: Market) -> Fee:
        usual = _suggested(market)
        max_fee = min(max(usual.max_fee, lowest), highest)
        return Fee(max_fee, None if usual.tip is None else min(usual.tip, max_fee))

    return Pricing(suggest, lambda _: highest)


def _suggested(market: Market) -> Fee:
    if market.base_fee is None:
        return Fee(market.gas_price, None)
    tip = market.tip or 0
    # Twice the base fee lasts for six full blocks in a row, which raise it by an eighth each.
    return Fee(2 * market.base_fee + tip, tip)
