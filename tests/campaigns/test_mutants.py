"""The mutants: that they are made, tried and judged as they should be."""

from pathlib import Path

import pytest
from mutants.campaign import CONFIGURATIONS, Campaign, CannotTry, all_mutants
from mutants.equivalents import Equivalents, as_entries
from mutants.operators import OPERATORS, Mutant, mutants
from mutants.table import page
from mutants.worker import KILLED, SURVIVED, UNREACHED

READER = Path(__file__).parents[2] / "reference_impl" / "_reader.py"


def changes(source: str, operator: str) -> list[str]:
    """What one operator does to a module: the lines that are not as before."""
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


def test_a_mutant_knows_where_it_is_and_what_runs_differently() -> None:
    source = "# \N{RIGHTWARDS ARROW}\nclass A:\n  def b(self):\n    return c(\n      1,\n    )\n"
    mutant = mutants("module", source.encode())[-1]
    assert mutant.id == "module.py:5:constant:1 \N{RIGHTWARDS ARROW} 0"
    assert mutant.key == ("module", "A.b", "constant", "1,", "1 \N{RIGHTWARDS ARROW} 0")
    assert mutant.lines == (4, 6)


def test_mutants_that_are_alike_are_numbered() -> None:
    found = mutants("module", b"a()\na()\n")
    assert [mutant.change for mutant in found] == [
        "a() \N{RIGHTWARDS ARROW} pass",
        "a() \N{RIGHTWARDS ARROW} pass #2",
    ]


def test_every_operator_finds_work_in_the_reference_and_all_its_mutants_compile() -> None:
    everyone = all_mutants()
    assert {mutant.operator for mutant in everyone} == set(OPERATORS)
    assert (
        len({mutant.key for mutant in everyone}) == len({m.id for m in everyone}) == len(everyone)
    )
    source = READER.read_bytes()
    for mutant in mutants("_reader", source)[::5]:
        assert mutant.applied(source) != source
        compile(mutant.applied(source), mutant.id, "exec")


def test_the_list_of_equivalents_speaks_of_mutants_that_there_are() -> None:
    assert Equivalents.read().gone(all_mutants()) == []


def test_what_is_to_be_listed_can_be_pasted_into_the_list(tmp_path: Path) -> None:
    found = mutants("module", b"def a():\n    b['\\'', \"x\"] = '''1'''\nc()")
    file = tmp_path / "list.toml"
    file.write_text(as_entries(found).replace('reason = ""', 'reason = "It is so."'))
    listed = Equivalents.read(file)
    assert listed.reasons == {mutant.key: "It is so." for mutant in found}
    assert listed.gone(found[1:]) == [found[0].key]


@pytest.mark.parametrize("reason", ["", "twice"])
def test_a_mutant_is_listed_once_and_with_a_reason(tmp_path: Path, reason: str) -> None:
    entries = as_entries(mutants("module", b"a()")).replace('reason = ""', f'reason = "{reason}"')
    file = tmp_path / "list.toml"
    file.write_text(entries * 2 if reason else entries)
    with pytest.raises(ValueError, match="twice, or without a reason"):
        Equivalents.read(file)


def mistake(name: str, old: bytes, new: str) -> Mutant:
    """A mutant made by hand: in `_reader.py`, the first `old` after the head of readexactly()."""
    source = READER.read_bytes()
    begin = source.index(old, source.index(b"async def readexactly") if name != "import" else 0)
    line = source.count(b"\n", 0, begin) + 1
    end = begin + len(old)
    return Mutant("_reader", "", "constant", line, "", name, begin, end, new, (line, line))


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_mutants_are_tried_and_judged(tmp_path: Path) -> None:
    """A sample of real ones, which are killed, and some by hand for each way that it can end."""
    by_hand = {
        "harmless": mistake("harmless", b"stop = start + n", "stop = n + start"),
        "wrong": mistake("wrong", b"head[start:stop]", "head[start : stop - 1]"),
        "endless": mistake("endless", b"n = index(n)", "while True: pass"),
        "greedy": mistake("greedy", b"n = index(n)", "n = len(bytes(1 << 33))"),
        "deadly": mistake("deadly", b"n = index(n)", "import os; os.abort()"),
        "import": mistake("import", b"_NEWLINE =", "_NEWLINE = 1 / 0,"),
        "unreached": mistake("unreached", b"line = await self.readline()", "pass"),
    }
    real = [
        mutant
        for mutant in all_mutants()
        if mutant.function == "StreamReader.readexactly" and "raise" in mutant.operator
    ]
    chosen = [*by_hand.values(), *real]
    options = ["--streams-network=memory", "-kreadexactly and not model", "--mutants-bound=1"]
    campaign = Campaign(tmp_path, options, processes=2)
    campaign.run(chosen, CONFIGURATIONS[:1], Equivalents({}))

    def seen(name: str) -> str:
        (result,) = campaign.results[by_hand[name].key]
        return f"{result.verdict} {result.clause}: {result.seen}"

    assert seen("harmless") == f"{SURVIVED} : "
    assert seen("unreached") == f"{UNREACHED} : "
    assert seen("wrong").startswith(f"{KILLED} readexactly.")
    assert seen("endless").endswith("the process ended with SIGPROF")
    assert "MemoryError" in seen("greedy")
    assert seen("deadly").endswith("the process ended with SIGABRT")
    assert (
        seen("import") == f"{KILLED} : cannot be certified: ZeroDivisionError('division by zero')"
    )
    assert real
    assert all(campaign.verdict(mutant) == KILLED for mutant in real)

    listed = Equivalents({by_hand["harmless"].key: "Addition commutes."})
    text = page(chosen, campaign, listed)
    assert f"| `_reader` | {len(chosen)} | {len(chosen) - 2} | 1 | 1 |" in text
    assert "## Survivors\n\n- `_reader.py:" in text
    assert "Addition commutes.\n\n- constant: `harmless`" in text

    again = Campaign(tmp_path, options)
    again._work = pytest.fail  # type: ignore[method-assign]  # nothing is left to do
    again.run(chosen, CONFIGURATIONS[:1], listed)
    assert again.results == campaign.results


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_one_that_is_no_longer_listed_is_tried_on_every_network(tmp_path: Path) -> None:
    harmless = mistake("harmless", b"stop = start + n", "stop = n + start")
    options = ["--streams-network=memory,tcp", "-ktest_zero or test_negative"]
    tests = []
    for listed in ({harmless.key: "Addition commutes."}, {}, {harmless.key: "It does."}):
        campaign = Campaign(tmp_path, options)
        campaign.run([harmless], CONFIGURATIONS[:1], Equivalents(listed))
        (result,) = campaign.results[harmless.key]
        assert result.verdict == SURVIVED
        tests.append(result.tests)
    assert tests[1] > tests[0]
    assert tests[2] == tests[1]


@pytest.mark.pythons("3.14", why="the campaign runs there")
def test_nothing_is_judged_by_a_suite_that_cannot_be_collected(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, ["-kno_such_test"])
    with pytest.raises(CannotTry, match="no test applies"):
        campaign.run([mistake("wrong", b"head", "tail")], CONFIGURATIONS[:1], Equivalents({}))
