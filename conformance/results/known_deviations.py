"""Known deviations: a file of them, with reasons, so that only new ones fail a build.

It is TOML, written by `--write-known-deviations` and edited by people:

    ["readuntil.limit.data-is-kept"]
    reason = "our buffer is a ring; to be changed in 2.0"

An entry with `flaky = true` is of a clause that sometimes passes.
"""

import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

import tomlkit

from conformance.clauses import clauses
from conformance.errors import CannotRun
from conformance.results.certificate import FAILED, KNOWN, PASSED, Certificate

NOT_LOOKED_INTO = "not looked into yet"


@dataclass(frozen=True, slots=True)
class KnownDeviations:
    """The deviations that a file lists.

    Attributes:
        reasons: why each is accepted, by the clause's id.
        flaky: the ids of those that may pass.
    """

    reasons: dict[str, str]
    flaky: frozenset[str] = frozenset()

    @classmethod
    def read(cls, path: Path) -> "KnownDeviations":
        """Read the file at `path`.

        Raises:
            CannotRun: it cannot be read, is not such a file, or lists an id that no clause has.
        """
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise CannotRun(f"cannot read {str(path)!r}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise CannotRun(f"{str(path)!r} is not TOML: {error}") from error
        reasons, flaky = {}, set()
        for id_, table in tables.items():
            if id_ not in clauses():
                raise CannotRun(
                    f"{str(path)!r} lists {id_!r}, which is not a clause: remove it, "
                    'or write ["its.id"], in quotes'
                )
            reason = table.get("reason") if isinstance(table, dict) else None
            if not isinstance(reason, str) or not reason.strip():
                raise CannotRun(f'{str(path)!r} gives no reason for {id_}: add reason = "…"')
            reasons[id_] = reason
            if table.get("flaky") is True:
                flaky.add(id_)
        return cls(reasons, frozenset(flaky))

    def marked(self, certificate: Certificate) -> Certificate:
        """Return `certificate` with the failures that are listed here marked as known."""
        return replace(
            certificate,
            verdicts=tuple(
                replace(
                    each,
                    verdict=KNOWN,
                    detail=f"known: {self.reasons[each.clause.id]}\n{each.detail}",
                )
                if each.verdict == FAILED and each.clause.id in self.reasons
                else each
                for each in certificate.verdicts
            ),
        )

    def gone(self, certificate: Certificate) -> list[str]:
        """Return the ids of the clauses that are listed here and have passed; not of flaky ones."""
        return [
            each.clause.id
            for each in certificate.verdicts
            if each.verdict == PASSED and each.clause.id in self.reasons.keys() - self.flaky
        ]

    def updated(self, certificate: Certificate) -> str:
        """Return the text of a file that lists the deviations in `certificate`, and reasons."""
        document = tomlkit.document()
        for line in (
            f"Known deviations of {certificate.implementation} from the asyncio streams API.",
            "Give each the reason why it is accepted for now.",
        ):
            document.add(tomlkit.comment(line))
        for each in certificate.verdicts:
            if each.verdict in (FAILED, KNOWN):
                table = tomlkit.table()
                table.add(tomlkit.comment(each.clause.text))
                table.add("reason", self.reasons.get(each.clause.id, NOT_LOOKED_INTO))
                if each.flaky or each.clause.id in self.flaky:
                    table.add("flaky", True)
                document.add(tomlkit.nl())
                document.add(tomlkit.key(each.clause.id), table)
        return tomlkit.dumps(document)
