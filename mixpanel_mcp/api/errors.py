"""What can go wrong, phrased for the model that must choose its next call.

MixpanelError
├── RefusedError                a rule of ours or an argument: nothing was sent
│   ├── InvalidArgumentsError
│   ├── NotConfiguredError
│   └── BudgetSpentError        Mixpanel would say 429
├── ConfirmationRequiredError   (safety/gate.py) no failure: somebody has to agree
└── FailedError                 something was sent, or could not be
    ├── RejectedError           400 and other 4xx: the same again is refused again
    │   ├── CredentialsError 401, PlanError 402, PermissionDeniedError 403
    │   └── NotFoundError 404, TooLargeError 413, RateLimitedError 429
    ├── UnavailableError        5xx, dropped connections, time-outs
    │   └── UnreachableError    no connection: nothing was sent
    ├── UnreadableReplyError    not what the endpoint promises, too large, or cut off
    └── OutcomeUnknownError     it may have happened
"""

from collections.abc import Mapping, Sequence
from typing import Any


class MixpanelError(Exception):
    """An expected failure, in sentences of ours.

    `data` goes to programs beside the message. `said` is what Mixpanel said: data that others can
    write, so it is kept out of the message.
    """

    def __init__(
        self, message: str, *, data: Mapping[str, Any] | None = None, said: str = ""
    ) -> None:
        self.data = dict(data or {})
        self.said = said
        super().__init__(message)


class RefusedError(MixpanelError):
    """Nothing was sent: an argument or a rule forbids it."""


_MOST_FAULTS = 50


class InvalidArgumentsError(RefusedError):
    """Arguments are wrong; `faults` names each with its place, up to fifty of them."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = list(faults)[:_MOST_FAULTS]
        more = len(faults) - len(self.faults)
        listed = "; ".join(self.faults) + (f"; and {more} more" if more > 0 else "")
        super().__init__(f"Nothing was sent. {listed}.", data={"faults": self.faults})


class NotConfiguredError(RefusedError):
    """A credential or a setting that the call needs is not there."""


class BudgetSpentError(RefusedError):
    """The calls that Mixpanel allows are used up; `data` has the `next_slot` and the `budget`."""


class FailedError(MixpanelError):
    """Mixpanel, or the way to it, failed."""


class RejectedError(FailedError):
    """Mixpanel understood the request and said no."""

    def __init__(self, message: str, *, status: int, said: str = "") -> None:
        self.status = status
        super().__init__(message, data={"http_status": status}, said=said)


class CredentialsError(RejectedError):
    """401."""


class PlanError(RejectedError):
    """402: the project's plan does not include this API."""


class PermissionDeniedError(RejectedError):
    """403."""


class NotFoundError(RejectedError):
    """404."""


class TooLargeError(RejectedError):
    """413: the caller halves the batch, or shortens what it asks."""


class RateLimitedError(RejectedError):
    """429, after the retries that the deadline allowed.

    `asked_seconds` is the pause that Mixpanel asked for, where it did.
    """

    asked_seconds: float | None = None


class UnavailableError(FailedError):
    """Mixpanel could not be reached or answered 5xx."""


class UnreachableError(UnavailableError):
    """No connection: nothing was sent."""


class UnreadableReplyError(FailedError):
    """The reply is not what the endpoint promises, too large, or cut off."""


class OutcomeUnknownError(FailedError):
    """The request went out and no clear answer came back: it may have happened."""
