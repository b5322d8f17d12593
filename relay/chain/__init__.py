"""The node: JSON-RPC, contract ABIs, log decoding, transactions. The only room that knows web3."""
