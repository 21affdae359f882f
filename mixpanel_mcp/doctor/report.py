"""What the doctor says: checks, and one class for the whole."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mixpanel_mcp.doctor import Ailment


class Outcome(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the report. A check fails where it has an ailment."""

    name: str
    detail: str
    connection: str | None = None
    """Whose it is, where there are several."""
    outcome: Outcome = Outcome.OK
    family: str | None = None
    origin: str | None = None
    advice: str = ""
    ailment: Ailment | None = None

    def failed(self, ailment: Ailment, detail: str, advice: str = "") -> "Check":
        return replace(self, outcome=Outcome.FAIL, ailment=ailment, detail=detail, advice=advice)

    def warned(self, detail: str, advice: str = "") -> "Check":
        return replace(self, outcome=Outcome.WARN, ailment=None, detail=detail, advice=advice)

    def passed(self, detail: str) -> "Check":
        return replace(self, outcome=Outcome.OK, ailment=None, detail=detail, advice="")

    @property
    def line(self) -> str:
        where = f" ({self.origin})" if self.origin else ""
        return f"{self.outcome.value:<5} {self._whose}{self.name}{where}: {self.detail}"

    @property
    def told_advice(self) -> str:
        return self.advice and f"{self._whose}{self.advice}"

    @property
    def _whose(self) -> str:
        return f"{self.connection}: " if self.connection else ""


@dataclass(frozen=True)
class Report:
    """Every check, with no secret in any."""

    checks: Sequence[Check]

    @property
    def ailment(self) -> Ailment | None:
        found = {check.ailment for check in self.checks}
        return next((ailment for ailment in Ailment if ailment in found), None)

    @property
    def exit_code(self) -> int:
        return self.ailment.exit_code if self.ailment else 0

    @property
    def advice(self) -> list[str]:
        """What to do, the worst first, each sentence once."""
        order = [*Ailment, None]
        worst_first = sorted(self.checks, key=lambda check: order.index(check.ailment))
        return list(dict.fromkeys(check.told_advice for check in worst_first if check.advice))

    def redacted(self, redact: Callable[[str], str]) -> "Report":
        checks = [
            replace(
                check,
                detail=redact(check.detail),
                advice=redact(check.advice),
            )
            for check in self.checks
        ]
        return Report(checks)

    def as_data(self) -> dict[str, Any]:
        return {
            "ok": self.exit_code == 0,
            "class": self.ailment.value if self.ailment else "well",
            "exit_code": self.exit_code,
            "checks": [
                {
                    **({"connection": check.connection} if check.connection else {}),
                    "name": check.name,
                    "family": check.family,
                    "origin": check.origin,
                    "outcome": check.outcome.value,
                    "detail": check.detail,
                    "advice": check.advice,
                }
                for check in self.checks
            ],
        }

    def as_text(self) -> str:
        lines = [check.line for check in self.checks]
        if self.advice:
            lines += ["", "What to do:", *(f"- {sentence}" for sentence in self.advice)]
        end = f"Found: {self.ailment.value}" if self.ailment else "All is well"
        return "\n".join([*lines, "", f"{end} (exit code {self.exit_code})."])
