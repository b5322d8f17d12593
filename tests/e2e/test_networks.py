"""What the client shows of currency networks."""

from relay.devnet.deploy import NETWORKS
from tests.e2e.conftest import People
from tests.support.wallet_world import GIFTS, World, amount, befriend


def test_all_networks_are_listed_with_their_terms(world: World, people: People) -> None:
    (user,) = people(1)
    listed = {network["address"]: network for network in user.call("currencyNetwork.getAll")}
    assert set(listed) == set(world.networks.values())
    for terms in (*NETWORKS, GIFTS):
        network = listed[world.networks[terms.symbol]]
        assert (network["name"], network["abbreviation"]) == (terms.name, terms.symbol)
        assert network["decimals"] == terms.decimals
        assert network["defaultInterestRate"] == amount(terms.default_interest_rate, 2)
        assert network["customInterests"] is terms.custom_interests
        assert network["preventMediatorInterests"] is terms.prevent_mediator_interests
        assert network["isFrozen"] is False
        assert user.call("currencyNetwork.getInfo", network["address"])["name"] == terms.name


def test_users_appear_in_the_network_they_opened_a_trustline_in(world: World, people: People) -> None:
    one, other = people(2)
    network = world.networks["BEER"]
    before = user_count(world)
    befriend(one, other, "BEER", 10, 20)
    users = one.call("currencyNetwork.getUsers", network)
    assert {one.address, other.address} <= set(users)
    assert user_count(world) == before + 2 == len(users)


def test_the_overview_of_a_user_sums_up_trustlines(world: World, people: People) -> None:
    one, other, third = people(3)
    befriend(one, other, "HOU", 10, 20)
    befriend(one, third, "HOU", 1, 2.5)
    overview = one.call("currencyNetwork.getUserOverview", world.networks["HOU"], one.address)
    assert overview == {
        "balance": amount(0, 4),
        "frozenBalance": amount(0, 4),
        "given": amount(110_000, 4),
        "received": amount(225_000, 4),
        "leftGiven": amount(110_000, 4),
        "leftReceived": amount(225_000, 4),
    }


def test_a_token_or_a_stranger_is_no_network(world: World, people: People) -> None:
    (user,) = people(1)
    assert user.call("currencyNetwork.isNetwork", world.networks["CASH"].lower()) is True
    assert user.call("currencyNetwork.isNetwork", world.addresses.unw_eth) is False


def test_the_relay_tells_its_version(people: People) -> None:
    (user,) = people(1)
    assert user.call("relayProvider.getVersion").startswith("relay/v")


def user_count(world: World) -> int:
    details = world.get(f"/networks/{world.networks['BEER']}")
    assert isinstance(details["numUsers"], int)
    return details["numUsers"]
