"""Errors of talking to podOS, named by what the reader does next.

PodosError
├── RetriablePodosError    podOS is away, busy or sent half an answer: wait and ask again
└── FatalPodosError        asking again changes nothing: a person must act
    ├── TokenRefusedError      401 or 403
    ├── UnknownProjectError    404 for the whole project
    ├── WrongAnswerError       the answer breaks what podOS documents (order, date range, shape)
    └── RefusedChangeError     podOS does not take the change of one order: 400, 404 and their kin

No text here ever holds a token, an e-mail address, a name or an address: it is in this program's own words.
"""

from __future__ import annotations

from models.errors import AppError, ExitCode


class PodosError(AppError):
    """Talking to podOS went wrong.

    Attributes:
        project: the project that was asked about.
        asked: the call, such as ``GET /v1/fulfillments``.
        status: the HTTP status, None where there was no answer.
        host: who was asked, with its port; empty before a client knows it.
        words: podOS's own message for a change of one order that it did not take. It may repeat anything that
            podOS knows of the order: only the desk may keep it. An error that can end a run has none.
    """

    def __init__(
        self, message: str, *, project: str = "", asked: str = "", status: int | None = None, words: str = ""
    ) -> None:
        super().__init__(message)
        self.words = words
        self.project = project
        self.asked = asked
        self.status = status
        self.host = ""

    def __str__(self) -> str:
        """Return the sentence for the operator, with what was asked of whom."""
        facts = [self.asked, self.host, f"project {self.project}" if self.project else ""]
        facts.append(f"HTTP {self.status}" if self.status else "")
        known = ", ".join(fact for fact in facts if fact)
        return f"{self.args[0]} ({known})" if known else str(self.args[0])


class RetriablePodosError(PodosError):
    """podOS is away, busy or sent half an answer; ``retry_after_seconds`` is what it asked us to wait."""

    exit_code = ExitCode.PODOS_AWAY
    retriable = True

    def __init__(
        self,
        message: str,
        *,
        project: str = "",
        asked: str = "",
        status: int | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(message, project=project, asked=asked, status=status)
        self.retry_after_seconds = retry_after_seconds


class FatalPodosError(PodosError):
    """Asking again changes nothing; a person must act."""


class TokenRefusedError(FatalPodosError):
    """podOS refused the token (401 or 403)."""

    exit_code = ExitCode.TOKEN_REFUSED


class UnknownProjectError(FatalPodosError):
    """podOS does not know the project (404)."""

    exit_code = ExitCode.UNKNOWN_PROJECT


class WrongAnswerError(FatalPodosError):
    """The answer breaks what podOS documents; reading on could miss orders, so the run stops."""


class RefusedChangeError(FatalPodosError):
    """podOS does not take the change of this one order; ``words`` are its own, without what was sent."""
