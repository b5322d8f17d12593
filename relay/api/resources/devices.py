"""The devices to which push notifications for a user go."""

from marshmallow import fields
from werkzeug.exceptions import ServiceUnavailable, TooManyRequests

from relay.addresses import Address
from relay.api.contract import speaks
from relay.api.faults import DeviceUnknown, NoToken, SignatureRequired
from relay.api.place import client_of_request, proof_of_headers
from relay.api.resources.base import ApiResource
from relay.push.sending import NotSent
from relay.push.tokens import Devices, InvalidToken, NotTheUser, TooManyTokens, UnknownToken

_RETRY_SECONDS = 60


class Device(ApiResource):
    """A device of a user, known by its token."""

    @speaks(fields.String())
    def put(self, user: Address, token: str) -> str:
        """Send what concerns the user to the device from now on."""
        client = client_of_request(self.services.clients)
        try:
            self._devices.add(user, token, client, proof_of_headers(user))
        except InvalidToken as error:
            raise NoToken(str(error)) from error
        except TooManyTokens as error:
            raise TooManyRequests(str(error), retry_after=_RETRY_SECONDS) from error
        except NotTheUser as error:
            raise SignatureRequired(str(error)) from error
        except NotSent as error:
            raise ServiceUnavailable("whether the token is one cannot be found out at the moment") from error
        return "Ok"

    @speaks(fields.String())
    def delete(self, user: Address, token: str) -> str:
        """Send nothing more to the device."""
        client = client_of_request(self.services.clients)
        try:
            self._devices.remove(user, token, client, proof_of_headers(user))
        except UnknownToken as error:
            raise DeviceUnknown(str(error)) from error
        except TooManyTokens as error:
            raise TooManyRequests(str(error), retry_after=_RETRY_SECONDS) from error
        except NotTheUser as error:
            raise SignatureRequired(str(error)) from error
        return "Ok"

    @property
    def _devices(self) -> Devices:
        devices = self.services.devices
        assert devices is not None, "without it there is no such route"
        return devices
