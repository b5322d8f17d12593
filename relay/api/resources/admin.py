"""What operators may do; none of it is there unless a token is configured, nor done without it."""

from dataclasses import asdict
from typing import Any

from flask import Response
from werkzeug.exceptions import NotFound

from relay.addresses import Address
from relay.admin.service import Administration
from relay.api.admin_schemas import (
    BanReasonSchema,
    BanSchema,
    ChangeSchema,
    NodeSchema,
    PauseSchema,
    PruneSchema,
    RemovedSchema,
    TokenSchema,
)
from relay.api.contract import speaks
from relay.api.place import client_of_request
from relay.api.resources.base import ApiResource
from relay.chain.nodes import NodeState
from relay.store.admin import Part


class OperatorResource(ApiResource):
    """A resource for operators."""

    needs_graphs = False

    def dispatch_request(self, **url: Any) -> Response:
        """Answer operators, and nobody else; whatever way led here."""
        operators = self.services.operators
        assert operators is not None, "without it there is no such route"
        operators.require(client_of_request(self.services.clients))
        answer = super().dispatch_request(**url)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @property
    def administration(self) -> Administration:
        """What does it."""
        administration = self.services.administration
        assert administration is not None, "without it there is no such route"
        return administration

    @property
    def who(self) -> str:
        """Who does it, for the log."""
        return f"an operator at {client_of_request(self.services.clients)}"


class Nodes(OperatorResource):
    """The nodes."""

    @speaks(NodeSchema(many=True))
    def get(self) -> list[dict[str, Any]]:
        """Look at all nodes now and tell how they are, which takes up to 3 s."""
        return [_node(state) for state in self.administration.nodes()]


class NodesReconnect(OperatorResource):
    """The choice of a node."""

    @speaks(NodeSchema(many=True))
    def post(self) -> list[dict[str, Any]]:
        """Forget what went wrong with the nodes and choose anew: here at once, elsewhere within seconds."""
        self.administration.reconnect(self.who)
        return [_node(state) for state in self.administration.nodes()]


class Pauses(OperatorResource):
    """What stands still."""

    @speaks(PauseSchema(many=True))
    def get(self) -> list[dict[str, Any]]:
        """List the parts of the relay that are paused."""
        return [asdict(pause) | {"part": pause.part.value} for pause in self.administration.pauses()]


class PauseOfPart(OperatorResource):
    """A part of the relay: ``index`` or ``delegate``."""

    @speaks(ChangeSchema())
    def put(self, part: str) -> dict[str, Any]:
        """Pause it, in all processes and after every start."""
        return {"has_changed": self.administration.pause(_part(part), self.who)}

    @speaks(ChangeSchema())
    def delete(self, part: str) -> dict[str, Any]:
        """Resume it."""
        return {"has_changed": self.administration.resume(_part(part), self.who)}


class Bans(OperatorResource):
    """Who is not served."""

    @speaks(BanSchema(many=True))
    def get(self) -> list[dict[str, Any]]:
        """List the banned identities and senders, the newest first."""
        return [asdict(ban) for ban in self.administration.bans()]


class BanOfAddress(OperatorResource):
    """An identity or a sender."""

    @speaks(ChangeSchema(), body=BanReasonSchema())
    def put(self, given: dict[str, Any], banned: Address) -> dict[str, Any]:
        """Serve it no more: no meta-transactions, no gifts, no raw transactions, no messages that it signed."""
        return {"has_changed": self.administration.ban(banned, given["reason"], self.who)}

    @speaks(ChangeSchema())
    def delete(self, banned: Address) -> dict[str, Any]:
        """Serve it again."""
        return {"has_changed": self.administration.unban(banned, self.who)}


class TokenRevocation(OperatorResource):
    """Devices that are told no more."""

    @speaks(RemovedSchema(), body=TokenSchema())
    def post(self, given: dict[str, Any]) -> dict[str, Any]:
        """Forget a device, whose ever it is; answers for how many users it was registered."""
        return {"removed": self.administration.revoke_token(given["token"], self.who)}


class MessagePruning(OperatorResource):
    """Messages that are kept no more."""

    @speaks(RemovedSchema(), body=PruneSchema())
    def post(self, given: dict[str, Any]) -> dict[str, Any]:
        """Remove messages, read or not."""
        removed = self.administration.prune_messages(given.get("older_than_seconds"), given.get("user"), self.who)
        return {"removed": removed}


def _part(name: str) -> Part:
    try:
        return Part(name)
    except ValueError:
        raise NotFound("only the index and the delegate can be paused") from None


def _node(state: NodeState) -> dict[str, Any]:
    return {"url": state.url, "is_used": state.is_used, "head": state.head, "fault": state.fault}
