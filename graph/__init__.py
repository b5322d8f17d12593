"""The credit network, pure: trustlines, interest, fees, the transfer rules and path search.

Nothing here performs I/O, reads a clock or knows address formats. A user is any ``bytes`` key
(the relay uses the 20 bytes of an address), an amount is an ``int`` in the network's smallest unit,
a time is an ``int`` in Unix seconds and is always handed in.
"""
