"""What an answer of the API server means to the caller, sorted by who can help.

`ApiError` is a refusal that stays until somebody changes something; `TransientError` may heal.
"""

# ruff: noqa: N818  named after what happened, as the API server's own reasons are

import json
import re
from collections.abc import Mapping
from typing import Any

_TYPED_PATCH = "failed to create typed patch object"
_UNDECLARED = re.compile(r"(\.\S+): field not declared in schema")


class ApiError(Exception):
    """A refusal that repeating does not cure: 400, 403, 404, 422 and the like."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):
    """404: the object, or the namespace it should go to, does not exist."""


class NotServed(ApiError):
    """404 in plain text: the API server does not know the kind, its CRD is missing."""


class Expired(ApiError):
    """410: the resourceVersion is too old to go on from; only a new list helps."""


class Forbidden(ApiError):
    """403: a right is missing, or the namespace is being terminated."""


class FieldNotDeclared(ApiError):
    """Server-side apply met a `field` that the schema lacks: the CRD is older than we expect.

    The API server says so with status 500 and no reason, and writes nothing.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(status, reason, message)
        found = _UNDECLARED.search(message)
        self.field = found[1] if found else ""


class TransientError(Exception):
    """It may heal: 401, 409, 429, 5xx, a lost connection, a timeout.

    `retry_after` is the wait in seconds that the server asks for; `status` is None when no answer
    came.
    """

    def __init__(
        self, message: str, *, status: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class Conflict(TransientError):
    """409: somebody else was faster, a precondition does not hold, or the name is taken."""


class WatchStalled(TransientError):
    """A watch was silent for longer than bookmarks take: half open, or its version lies ahead.

    Going on from the same resourceVersion would be silent again: list anew.
    """


def error_from_response(
    code: int, body: bytes, headers: Mapping[str, str]
) -> ApiError | TransientError:
    """Tell what an HTTP answer other than 2xx means."""
    retry_after = _seconds(headers.get("Retry-After"))
    status = _decode_status(body)
    if status is not None:
        return error_from_status({**status, "code": code}, retry_after)
    text = body[:500].decode(errors="replace").strip()
    if code == 404:
        # Any other page is a proxy's: to take it for a missing CRD would empty the caches.
        if text == "404 page not found":
            return NotServed(code, "NotServed", text)
        return TransientError(f"404 from something else: {text}", status=code)
    return error_from_status({"code": code, "message": text}, retry_after)


def error_from_status(
    status: Mapping[str, Any], retry_after: float | None = None
) -> ApiError | TransientError:
    """Tell what a Status object means; in a watch it comes as an event of type ERROR."""
    code = int(status.get("code") or 500)
    reason, message = str(status.get("reason") or ""), str(status.get("message") or "")
    if retry_after is None:
        retry_after = _seconds((status.get("details") or {}).get("retryAfterSeconds"))
    text = f"{code} {reason}: {message}"
    if code == 409:
        return Conflict(text, status=code, retry_after=retry_after)
    # 401 heals too: the kubelet replaces the token on disk, and we read it anew.
    if code in (401, 408, 429) or (code >= 500 and _TYPED_PATCH not in message):
        return TransientError(text, status=code, retry_after=retry_after)
    if _UNDECLARED.search(message):
        return FieldNotDeclared(code, reason, message)
    refusal = {403: Forbidden, 404: NotFound, 410: Expired}.get(code, ApiError)
    return refusal(code, reason, message)


def _decode_status(body: bytes) -> dict[str, Any] | None:
    try:
        status = json.loads(body)
    except ValueError:
        return None
    return status if isinstance(status, dict) and status.get("kind") == "Status" else None


def _seconds(text: object) -> float | None:
    try:
        return max(float(str(text)), 0.0)
    except ValueError:
        return None  # absent, or a date, which the API server never sends
