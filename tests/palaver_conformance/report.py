"""What is printed: progress while cases run, a table of verdicts at the end, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections import Counter
from typing import Final

from attrs import define, field

from palaver_protocol import text

from .target import Target
from .verdicts import Outcome, Verdict

MARKS: Final = {Outcome.PASSED: "passed ", Outcome.FAILED: "FAILED ", Outcome.SKIPPED: "skipped"}
STEP: Final = 25  # cases between two lines of progress, where no line can be rewritten


@define
class Report:
    """The report of one run."""

    target: Target
    total: int
    in_json: bool = False
    verdicts: list[Verdict] = field(factory=list[Verdict])

    def add(self, verdict: Verdict) -> None:
        """Take a verdict, and show how far it went."""
        self.verdicts.append(verdict)
        if self.in_json:
            print(json.dumps(verdict.to_json(), ensure_ascii=False), flush=True)
        self._show_progress(verdict)

    def _show_progress(self, verdict: Verdict) -> None:
        done = len(self.verdicts)
        failed = sum(verdict.outcome is Outcome.FAILED for verdict in self.verdicts)
        line = f"{done} of {self.total} cases, {failed} failed"
        if sys.stderr.isatty():
            end = "\n" if done == self.total else ""
            print(f"\r\x1b[K{line}  {verdict.case[:60]}", end=end, file=sys.stderr, flush=True)
        elif done % STEP == 0 and done < self.total:
            print(line, file=sys.stderr, flush=True)

    def unreachable(self, why: str) -> None:
        """Nobody answers."""
        remedy = f"is a server running there? start one: palaver serve --port {self.target.port}"
        print(f"palaver conformance: {self.target} does not answer: {why}\n  {remedy}", file=sys.stderr)
        if self.in_json:
            print(json.dumps({"summary": self._counts(), "error": why}, ensure_ascii=False), flush=True)

    def _counts(self) -> dict[str, int]:
        counts = Counter(verdict.outcome for verdict in self.verdicts)
        return {outcome.value: counts[outcome] for outcome in Outcome}

    def end(self) -> None:
        """The table, or the summary."""
        counts = self._counts()
        if self.in_json:
            summary = {"summary": counts, "server": str(self.target)}
            print(json.dumps(summary, ensure_ascii=False), flush=True)
            return
        for verdict in sorted(self.verdicts, key=lambda verdict: (verdict.outcome is Outcome.FAILED, verdict.case)):
            print("\n".join(in_lines(verdict)))
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        print(f"\n{self.target}: {said}", flush=True)


def in_lines(verdict: Verdict) -> list[str]:
    """A verdict in the table."""
    lines = [f"{MARKS[verdict.outcome]}  {verdict.case}"]
    if verdict.outcome is Outcome.FAILED:
        said = {"expected": verdict.expected, "came": verdict.came}
        return lines + [f"           {what + ':':<9} {text.one_line(why)}" for what, why in said.items()]
    return [f"{lines[0]} ({verdict.reason})"] if verdict.outcome is Outcome.SKIPPED else lines
