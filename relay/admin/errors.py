"""What users are told of an operator's decisions, and operators of their mistakes."""


class Banned(Exception):
    """An operator does not want somebody served."""


class DelegatePaused(Exception):
    """An operator lets what is sent for users rest."""


class TokenFault(Exception):
    """The file with the operators' token cannot be used; the text is one sentence that says why."""
