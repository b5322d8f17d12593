"""What stops the index for good, or for a moment.

IndexFault
├── PastFinality   the chain differs from the database below what a reorg may change: an operator must decide
└── Inconsistent   the node's answers contradict each other: asked again, they will not
"""


class IndexFault(Exception):
    """Base of the index's own faults; the text is one sentence an operator can act on."""


class PastFinality(IndexFault):
    """The chain is not the one in the database, further back than a reorg can reach."""


class Inconsistent(IndexFault):
    """Blocks and logs do not fit together, most likely because the chain changed between two requests."""
