"""What stops the index for good, or for a moment.

IndexFault
├── OtherChain     the database was filled from another chain than the node's
├── PastFinality   the chain differs from the database below what a reorg may change: an operator must decide
├── Inconsistent   the node's answers contradict each other: asked again, they will not
└── NodeBehind     the node has not come as far as the database
"""

REBUILD_ADVICE = "to forget what is stored and read the chain anew, run `tl-relay index --rebuild`"
"""What an operator can do when database and chain have nothing to do with each other."""


class IndexFault(Exception):
    """Base of the index's own faults; the text is one sentence an operator can act on."""


class OtherChain(IndexFault):
    """The database was filled from another chain."""


class PastFinality(IndexFault):
    """The chain is not the one in the database, further back than a reorg can reach."""


class Inconsistent(IndexFault):
    """Blocks and logs do not fit together, most likely because the chain changed between two requests."""


class NodeBehind(IndexFault):
    """The database has gone beyond the node's newest block: it has to catch up, or its chain got shorter."""
