"""Identities on a test chain, and wallets whose identities were deployed by somebody else than the relay."""

from eth_account import Account
from web3 import Web3

from relay.addresses import parse_address
from relay.chain.identity import plan_deployment
from relay.devnet.anvil import CHAIN_ID, Anvil
from relay.devnet.deploy import NetworkTerms, deploy_contract, deploy_network
from tests.support.delegating import Wallet, World, sign_hash

TERMS = NetworkTerms("Test", "TST", decimals=2, fee_divisor=100, custom_interests=True)


def deploy_identity_world(chain: Anvil, web3: Web3) -> World:
    """Deploy a factory, an implementation and a currency network."""
    return World(
        chain,
        web3,
        deploy_contract(web3, "IdentityProxyFactory", CHAIN_ID).address,
        deploy_contract(web3, "Identity").address,
        deploy_network(web3, TERMS, "CurrencyNetwork"),
    )


def make_wallets(world: World, count: int) -> list[Wallet]:
    """Deploy identities for new owners, paid by one of the chain's own accounts."""
    factory, implementation = parse_address(world.factory), parse_address(world.implementation)
    digest = bytes(Web3.keccak(b"\x19\x00" + factory + implementation))
    wallets = []
    for _ in range(count):
        owner = Account.create()
        plan = plan_deployment(factory, implementation, sign_hash(owner, digest))
        assert plan is not None
        sender = world.w3.eth.accounts[2]
        sent = world.w3.eth.send_transaction(
            {"from": sender, "to": world.factory, "data": plan.data, "gas": 10**6}
        )
        world.w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.01)
        wallets.append(Wallet(owner, plan.identity))
    return wallets
