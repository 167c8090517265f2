"""The mutants are made, tried and judged as they should be."""

import ast
import re
from pathlib import Path

import pytest

from campaigns._shared.forked_suite import REFERENCE
from campaigns.mutants.__main__ import PAGES, README
from campaigns.mutants.accepted import Accepted, Entry, as_entries, unexplained
from campaigns.mutants.campaign import KILLED, SUBJECTS, SURVIVED, UNREACHED, Campaign, Result
from campaigns.mutants.operators import OPERATORS, Mutant, mutants
from campaigns.mutants.table import HEAD, PLACE, outcomes, page, with_figures
from conformance.errors import CannotRun

READER = Path(REFERENCE.modules["reference_impl._reader"])
MUTATED = SUBJECTS["reference"]
FIRST = MUTATED.configurations[:1]


def changes(source: str, operator: str) -> list[str]:
    """The effect of one operator on a module: the changed lines."""
    before = source.splitlines()
    found = []
    for mutant in mutants("module", source.encode()):
        if mutant.operator == operator:
            after = mutant.applied(source.encode()).decode().splitlines()
            found += [new for old, new in zip(before, after, strict=True) if old != new]
    return found


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("comparison", "a == b is not c", ["a != b is not c", "a == b is c"]),
        ("comparison", "(a)  not  in (b)", ["(a)  in (b)"]),
        ("boundary", "a < b >= c", ["a <= b >= c", "a < b > c"]),
        ("boundary", "a[1:b]", ["a[:b]", "a[1:]"]),
        (
            "boolean",
            "(a or b) and not c",
            [
                "(a and b) and not c",
                "(False or b) and not c",
                "(a or False) and not c",
                "(a or b) or not c",
                "(True) and not c",
                "(a or b) and True",
                "(a or b) and (c)",
            ],
        ),
        ("boolean", "a = True", ["a = False"]),
        ("arithmetic", "a + b * c", ["a - b * c", "a + b + c"]),
        ("arithmetic", "a -= b", ["a += b"]),
        ("constant", "a(-1, 2)", ["a(0, 2)", "a(-2, 2)", "a(-1, 3)", "a(-1, 1)"]),
        ("constant", 'a(b"", "c")', ['a(b"mutant", "c")', 'a(b"", "")']),
        ("constant", 'a(f"b{c[0]}")', ['a("")']),
        ("dropped call", "await a(b(c))", ["pass"]),
        ("dropped argument", "a(b, c=d, *e)", ["a(b, **{}, *e)"]),
        ("dropped assignment", "a: int = b", ["pass"]),
        ("dropped raise", "raise a from b", ["pass"]),
        ("negated condition", "if a and b: c", ["if (not (a and b)): c"]),
        ("negated condition", "if a < b: c", []),
        ("removed condition", "a if b else c", ["a if True else c", "a if False else c"]),
        ("removed condition", "while a: b", ["while True: b", "while False: b"]),
        (
            "removed condition",
            "[a for b in c if d]",
            ["[a for b in c if True]", "[a for b in c if False]"],
        ),
        ("removed condition", "assert a, b", ["assert True, b", "assert False, b"]),
        ("changed return", "def a(): return b", ["def a(): return None"]),
        ("changed return", "def a(): return", ["def a(): pass"]),
        ("changed return", "def a(): return True", []),
        ("swapped exception", "raise a.B(c) from d", ["raise ArithmeticError(c) from d"]),
        ("loop", "for a in b: break", ["for a in (): break", "for a in b: continue"]),
    ],
)
def test_an_operator_makes_each_of_its_mistakes(
    operator: str, source: str, expected: list[str]
) -> None:
    assert sorted(changes(source, operator)) == sorted(expected)


def test_other_exceptions_are_caught() -> None:
    source = "try: a\nexcept (B, C): d\nexcept BaseException: e"
    assert changes(source, "swapped exception") == [
        "except BaseException: d",
        "except ArithmeticError: d",
        "except (ArithmeticError, C): d",
        "except (B, ArithmeticError): d",
        "except Exception: e",
        "except ArithmeticError: e",
    ]


def test_annotations_and_docstrings_are_left_alone() -> None:
    source = '"""Doc."""\ndef a(b: "C[1]", *, d: "E") -> "F":\n    """Doc."""\n    g: "H[2]"'
    assert mutants("module", source.encode()) == []


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def __repr__(self):\n        return 'A' if self.b else 'C'",
        "__all__ = ('a',)\n__all__ += ('b',)",
        "def a():\n    logger.debug('%r', b, exc_info=c())\n    self._log.warning(d)",
        "__slots__ = ('a',)\nT = TypeVar('T', bound=B)\nPath = str | bytes",
        "SIZE = 4 * 1024  # bytes; tuning: small pieces",
        "def a():\n    assert b is not None\n    assert isinstance(b, C)",
    ],
)
def test_what_is_never_worth_a_mutant_is_left_out_by_rules(source: str) -> None:
    assert mutants("module", source.encode()) == []


def test_the_words_of_messages_and_casts_are_left_out() -> None:
    source = 'def a():\n    raise B(f"{c} is wrong", "so it is", 1)'
    assert {each.shown for each in mutants("module", source.encode())} == {
        'raise B(f"{c} is wrong", "so it is", 1) → pass',
        "B → ArithmeticError",
        "1 → 2",
        "1 → 0",
    }
    assert changes('a.set_exception(BError("so it is", f"{c}", 1))', "constant") == [
        'a.set_exception(BError("so it is", f"{c}", 2))',
        'a.set_exception(BError("so it is", f"{c}", 0))',
    ]
    assert changes('a(cast("B | C", d + 1))', "constant") == [
        'a(cast("B | C", d + 2))',
        'a(cast("B | C", d + 0))',
    ]


def keys(source: str) -> set[tuple[str, ...]]:
    return {each.key for each in mutants("module", source.encode())}


BEFORE = """
def f(data, limit=3):
    # What is too long is refused.
    size = len(data) + 1
    if size > limit and data[size:] == b"x":
        raise ValueError("it is too long")
    return [each for each in data if each > size]
"""

AFTER = '''
SOMETHING_NEW = 1


def f(given, limit=3):
    """Does something."""
    length = (
        len(given)  # in bytes
        + 1
    )
    if length > limit and given[length:] == b"x":  # so
        raise ValueError(f"it is {length} long")
    return [one for one in given if one > length]
'''


def test_a_key_outlives_new_names_of_locals_comments_messages_and_layout() -> None:
    assert keys(BEFORE) <= keys(AFTER)
    assert keys(BEFORE.replace("len(data) + 1", "len(data) + 2")) != keys(BEFORE)


def test_a_mutant_knows_where_it_is_and_what_runs_differently() -> None:
    source = "# \N{RIGHTWARDS ARROW}\nclass A:\n  def b(self):\n    return c(\n      1,\n    )\n"
    mutant = mutants("module", source.encode())[-1]
    assert mutant.id == "module.py:5:constant:1 \N{RIGHTWARDS ARROW} 0"
    assert mutant.key == ("module", "A.b", "constant", "return c(1)", "1 \N{RIGHTWARDS ARROW} 0")
    assert mutant.lines == (4, 6)


def test_mutants_that_are_alike_are_numbered() -> None:
    found = mutants("module", b"a()\na()\n")
    assert [mutant.change for mutant in found] == [
        "a() \N{RIGHTWARDS ARROW} pass",
        "a() \N{RIGHTWARDS ARROW} pass #2",
    ]


@pytest.mark.parametrize("name", SUBJECTS)
def test_all_mutants_compile_and_are_told_apart(name: str) -> None:
    everyone = SUBJECTS[name].mutants()
    assert (
        len({mutant.key for mutant in everyone}) == len({m.id for m in everyone}) == len(everyone)
    )
    if name == "reference":
        assert {mutant.operator for mutant in everyone} == set(OPERATORS)
    for mutant in everyone[::10]:
        _, text = SUBJECTS[name].request(mutant, "", False).source or ("", "")
        compile(text, mutant.id, "exec")


@pytest.mark.parametrize("name", [name for name in SUBJECTS if SUBJECTS[name].is_ours])
def test_the_list_of_accepted_ones_speaks_of_mutants_that_there_are(name: str) -> None:
    assert SUBJECTS[name].accepted().gone(SUBJECTS[name].mutants()) == []


def test_the_readme_has_the_figures_of_each_page() -> None:
    readme = README.read_text(encoding="utf-8")
    for mutated in SUBJECTS.values():
        page_there = PAGES / mutated.page
        text = page_there.read_text(encoding="utf-8") if page_there.exists() else ""
        said = re.findall(r"(\d+) mutants(| \(.*?\)): (.*?); ([\d.]+ %) of those", text)
        figures = [
            [count + sample, *re.findall(r"\d+", kinds), score]
            for count, sample, kinds, score in said
        ]
        rows = re.findall(rf"\(docs/generated/{mutated.page}\) \|(.*)\|\n", readme)
        shown = [[each.strip() for each in row.split("|")] for row in rows if "`tox" not in row]
        assert shown == figures, mutated.name


def test_the_figures_of_one_implementation_are_put_into_its_row() -> None:
    plain, cpython = SUBJECTS["plain"], SUBJECTS["cpython"]
    killed, gap = mutants("module", b"a()\nb()")
    once = with_figures(f"x\n\n{PLACE}\n\ny\n", plain, {killed: "gap"}, 1)
    twice = with_figures(once, cpython, {killed: KILLED}, 10)
    again = with_figures(twice, plain, {killed: KILLED, gap: "gap"}, 1)
    rows = [
        f"| [{each.title}](docs/generated/{each.page}) | {figures} |"
        for each, figures in (
            (cpython, "1 (one in 10) | 1 | 0 | 0 | 0 | 0 | 100.0 %"),
            (plain, "2 | 1 | 0 | 0 | 1 | 0 | 50.0 %"),
        )
    ]
    assert again == "\n".join(["x", "", PLACE, "", *HEAD, *rows, "", "y", ""])
    with pytest.raises(ValueError, match="no line"):
        with_figures("", plain, {}, 1)


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_what_killed_the_last_mutant_is_tried_first_on_the_next(tmp_path: Path) -> None:
    options = ["--streams-network=memory", "-kreadexactly and not model"]
    campaign = Campaign(MUTATED, tmp_path, options)
    twins = [mistake(name, "n += n > 1 << 16") for name in ("one", "other")]
    campaign.run(twins, FIRST, Accepted({}))
    (one,), (other,) = (campaign.results[each.key] for each in twins)
    assert one.tests > other.tests == 1
    assert one.killer == other.killer


def test_what_is_to_be_accepted_can_be_pasted_into_the_list(tmp_path: Path) -> None:
    found = mutants("module", b"def a():\n    b['\\'', \"x\"] = '''1'''\nc()")
    file = tmp_path / "list.toml"
    text = unexplained(found).replace('reason = ""', 'reason = "It is so."')
    file.write_text(text.replace('kind = ""', 'kind = "gap"'))
    accepted = Accepted.read(file)
    assert {key: entry.reason for key, entry in accepted.single.items()} == {
        mutant.key: "It is so." for mutant in found
    }
    assert accepted.gone(found[1:]) == [found[0].key]


def test_an_entry_may_speak_of_all_survivors_of_an_operator_in_a_function(tmp_path: Path) -> None:
    file = tmp_path / "list.toml"
    file.write_text(
        '[[accepted]]\nmodule = "module"\nfunction = "a"\nkind = "unspecified"\n'
        'reason = "Nobody asks."\noperators = ["constant"]\n'
    )
    accepted = Accepted.read(file)
    one, other = mutants("module", b"def a():\n    b(1)\ndef c():\n    b(1)")[1:5:3]
    assert (entry := accepted.of(one))
    assert entry.kind == "unspecified"
    assert accepted.of(other) is None


@pytest.mark.parametrize(
    ("kind", "reason", "times", "wrong"),
    [
        ("gap", "", 1, "without a kind or a reason"),
        ("other", "It is so.", 1, "without a kind or a reason"),
        ("gap", "It is so.", 2, "twice"),
    ],
)
def test_a_mutant_is_accepted_once_with_kind_and_reason(
    tmp_path: Path, kind: str, reason: str, times: int, wrong: str
) -> None:
    entry = as_entries([(Entry("module", "", kind, reason), mutants("module", b"a()"))])
    file = tmp_path / "list.toml"
    file.write_text(entry * times)
    with pytest.raises(ValueError, match=wrong):
        Accepted.read(file)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def mistake(name: str, statement: str, function: str = "readexactly") -> Mutant:
    """A mutant made by hand: of `_reader.py`, a method of the reader that begins with a statement.

    Args:
        name: its name, for its key.
        statement: the statement.
        function: the method's name; empty for the class, whose body is run at import.
    """
    scopes: list[ast.AST] = [*ast.walk(ast.parse(READER.read_bytes()))]
    (reader,) = (each for each in scopes if isinstance(each, ast.ClassDef))
    methods = [each for each in reader.body if isinstance(each, FUNCTIONS)]
    scope = next((each for each in methods if each.name == function), reader)
    first = scope.body[1]  # after the docstring
    lines = READER.read_bytes().splitlines(keepends=True)
    begin = len(b"".join(lines[: first.lineno - 1])) + first.col_offset
    new = f"{statement}\n{' ' * first.col_offset}"
    at = (first.lineno, first.lineno)
    return Mutant(
        "_reader", "", "constant", first.lineno, "", "", name, name, begin, begin, new, at
    )


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_mutants_are_tried_and_judged(tmp_path: Path) -> None:
    """A sample of real ones, which are killed, and some by hand for each way that it can end."""
    by_hand = {
        "harmless": mistake("harmless", "n = n"),
        "wrong": mistake("wrong", "n += 1"),
        "endless": mistake("endless", "while True: pass"),
        "greedy": mistake("greedy", "n = len(bytes(1 << 33))"),
        "deadly": mistake("deadly", "import os; os.abort()"),
        "import": mistake("import", "1 // 0", function=""),
        "unreached": mistake("unreached", "pass", function="__repr__"),
    }
    real = [
        mutant
        for mutant in MUTATED.mutants()
        if mutant.function == "StreamReader.readexactly" and "raise" in mutant.operator
    ]
    chosen = [*by_hand.values(), *real]
    options = ["--streams-network=memory", "-kreadexactly and not model", "--bench-bound=1"]
    options += ["--streams-bound=600"]  # the processor time's bound comes first, on any machine
    campaign = Campaign(MUTATED, tmp_path, options, processes=2)
    campaign.run(chosen, FIRST, Accepted({}))

    def seen(name: str) -> str:
        (result,) = campaign.results[by_hand[name].key]
        return f"{result.verdict} {result.clause}: {result.seen}"

    assert seen("harmless") == f"{SURVIVED} : "
    assert seen("unreached") == f"{UNREACHED} : "
    assert seen("wrong").startswith(f"{KILLED} readexactly.")
    assert seen("endless").endswith("the process ended with SIGPROF")
    assert "MemoryError" in seen("greedy")
    assert seen("deadly").endswith("the process ended with SIGABRT")
    assert seen("import").startswith(f"{KILLED} : cannot be certified: ")
    assert "division" in seen("import")
    assert real
    assert all(campaign.verdict(mutant) == KILLED for mutant in real)

    entry = Entry("_reader", "", "equivalent", "Nothing is added.")
    accepted = Accepted({by_hand["harmless"].key: entry})
    text = page(campaign, outcomes(chosen, campaign, accepted), accepted, 10)
    assert f"{len(chosen)} mutants (one in 10): {len(chosen) - 2} killed, 1 equivalent" in text
    assert f"| `_reader` | {len(chosen)} | {len(chosen) - 2} | 1 | 0 | 0 | 1 |" in text
    assert "## Unexplained survivors\n\n- `_reader.py:" in text
    assert "Nothing is added.\n\n- constant: `harmless`" in text

    again = Campaign(MUTATED, tmp_path, options)
    again._tried = pytest.fail  # type: ignore[method-assign, assignment]  # nothing is left to do
    again.run(chosen, FIRST, accepted)
    assert again.results == campaign.results


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_one_that_is_no_longer_accepted_is_tried_on_every_network(tmp_path: Path) -> None:
    harmless = mistake("harmless", "n = n")
    options = ["--streams-network=memory,tcp", "-ktest_zero or test_negative"]
    entry = Entry("_reader", "", "equivalent", "It is.")
    found: list[Result] = []
    for single in ({harmless.key: entry}, {}, {harmless.key: entry}):
        campaign = Campaign(MUTATED, tmp_path, options)
        campaign.run([harmless], FIRST, Accepted(single))
        found += campaign.results[harmless.key]
    assert {each.verdict for each in found} == {SURVIVED}
    assert found[1].tests > found[0].tests
    assert found[2].tests == found[1].tests


@pytest.mark.pythons("3.14", why="the campaign runs there")
@pytest.mark.parametrize("name", ["plain", "cpython"])
def test_other_implementations_are_mutated_too(name: str, tmp_path: Path) -> None:
    mutated = SUBJECTS[name]
    chosen = [
        mutant
        for mutant in mutated.mutants()
        if mutant.function == "StreamReader.readexactly" and mutant.operator == "dropped raise"
    ]
    campaign = Campaign(mutated, tmp_path, ["--streams-network=memory", "-kreadexactly"])
    campaign.run(chosen, mutated.configurations, Accepted({}))
    assert {campaign.verdict(mutant) for mutant in chosen} == {KILLED}


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_nothing_is_judged_by_a_suite_that_cannot_be_collected(tmp_path: Path) -> None:
    campaign = Campaign(MUTATED, tmp_path, ["-kno_such_test"])
    with pytest.raises(CannotRun, match="no test applies"):
        campaign.run([mistake("wrong", "n = 1")], FIRST, Accepted({}))
