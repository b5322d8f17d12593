"""Why there is no path, in words and in figures."""

from typing import Any

from graph.answers import NotFound, Reason

_SENTENCES: dict[Reason, str] = {
    Reason.UNKNOWN_SENDER: "the sender has no trustline in this network",
    Reason.UNKNOWN_RECEIVER: "the receiver has no trustline in this network",
    Reason.SAME_USER: "sender and receiver are the same user",
    Reason.NOT_CONNECTED: "no chain of trustlines leads from the sender to the receiver past the users to avoid",
    Reason.FROZEN: "every chain of trustlines from the sender to the receiver is frozen",
    Reason.CAPACITY: "no path has the capacity for this value",
    Reason.FEES: "every path costs more than the maximum of fees",
    Reason.HOPS: "every path takes more than the maximum of hops",
    Reason.MEDIATOR_INTERESTS: "every path would leave a mediator with interests to pay",
    Reason.NOTHING_TO_CLOSE: "there is no trustline with a balance to settle",
    Reason.BUDGET: "the search was given up before it was known whether there is a path",
}


def describe(why: NotFound) -> dict[str, Any]:
    """Return the reason's attributes of an answer: its code, its sentence, and those figures that are known."""
    figures = {
        "largest_value": why.largest,
        "cheapest_fees": why.cheapest_fees,
        "fewest_hops": why.fewest_hops,
    }
    known = {name: figure for name, figure in figures.items() if figure is not None}
    return {"reason": why.reason.value, "reason_message": _sentence(why), **known}


def _sentence(why: NotFound) -> str:
    sentence = _SENTENCES[why.reason]
    instead = []
    if why.largest is not None:
        instead.append(f"the largest possible is {why.largest}")
    if why.cheapest_fees is not None:
        instead.append(f"the cheapest costs {why.cheapest_fees}")
    if why.fewest_hops is not None:
        instead.append(f"the shortest takes {why.fewest_hops}")
    if why.reason is Reason.FEES and why.fewest_hops is not None:
        sentence = "every path costs more than the maximum of fees or takes more than the maximum of hops"
    return "; ".join([sentence, ", ".join(instead)]) if instead else sentence
