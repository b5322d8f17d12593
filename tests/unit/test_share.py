"""The share of the networks that a process holds."""

import pytest

from relay.share import Share, is_share


def address(last: int) -> bytes:
    return bytes(19) + bytes([last])


@pytest.mark.parametrize(
    ("text", "digits"),
    [("0-7", range(8)), ("3,a-F", [3, *range(10, 16)]), (" f , 0", [0, 15]), ("0-f", range(16)), ("a", [10])],
)
def test_a_share_is_what_ends_with_some_digits(text: str, digits: list[int]) -> None:
    share = Share.parse(text)
    for last in range(256):
        assert share.holds(address(last)) == (last % 16 in digits)
        assert share.holds(address(last)) == (address(last).hex()[-1] in str(share)), "as a pattern finds it"


@pytest.mark.parametrize("text", ["g", "7-0", "0-", "1/3", "0x1", ",", "0 1", "00"])
def test_what_names_no_digits_is_no_share(text: str) -> None:
    with pytest.raises(ValueError, match=r"neither|ends before"):
        Share.parse(text)
    assert not is_share(text)


def test_nothing_names_all_networks() -> None:
    assert is_share("")


@pytest.mark.parametrize("parts", [["0-7", "8-f"], ["0-5", "6-a", "b-f"], ["0,2,4,6,8,a,c,e", "1,3,5,7,9,b,d,f"]])
def test_shares_that_have_all_digits_have_every_network_once(parts: list[str]) -> None:
    shares = [Share.parse(part) for part in parts]
    for last in range(256):
        assert sum(share.holds(address(last)) for share in shares) == 1
