"""The mutants of a module: every way to make one small mistake in it.

A mutant is a replacement of a piece of the source's text. The pieces are found in its syntax tree.
Some code is never worth a mutant: see `RULES`.

The key of a mutant is its place in the tree: its function, its statement as `ast.unparse()` writes
it, and the replacement, without the names of locals and the words of messages. So renaming a local,
rewording a comment or a message, or moving code about changes no key.
"""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

OPERATORS = {
    "comparison": "a comparison is its opposite",
    "boundary": "< is <= and the like; a slice lacks a bound",
    "boolean": "and is or, an operand or a not is missing, True is False",
    "arithmetic": "+ is - and the like",
    "constant": "a number is one more or less, a string is empty or is not",
    "dropped call": "a call that is a statement is missing",
    "dropped argument": "a keyword argument of a call is missing",
    "dropped assignment": "an assignment is missing",
    "dropped raise": "a raise is missing",
    "negated condition": "a condition is its opposite",
    "removed condition": "a condition is always true, or never",
    "changed return": "None is returned, or a return is missing",
    "swapped exception": "another exception is raised or caught",
    "loop": "a loop goes on or ends where it should not, or has nothing to go through",
}
"""The operators, and the faults of their mutants."""

RULES = {
    "annotations and docstrings": "nothing happens at run time when they are wrong",
    "`__repr__` and `__str__`": "they are for people; a clause asks for the class's name only",
    "words of messages": "what an exception, a warning or a report says in words",
    "calls of a logger": "what is logged is for people",
    "`__all__`": "a certification reads each name from the module, and imports no `*`",
    "what only a type checker reads": "casts, type aliases, `assert … is not None`, `__slots__`",
    "tuning constants": "numbers marked `tuning` in their comment: speed and memory only",
}
"""The code that is never mutated, and why."""

_FOR_PEOPLE = {"__repr__", "__str__"}
_TELLING = {"warn", "call_exception_handler", "_log"}  # functions that take messages
_LOGGING = re.compile(r"(\w+\.)*_?log(ger|ging)?\.(debug|info|warning|error|exception|critical)$")

_OPPOSITES: dict[type[ast.cmpop], str] = {
    ast.Eq: "!=",
    ast.NotEq: "==",
    ast.Lt: ">=",
    ast.GtE: "<",
    ast.Gt: "<=",
    ast.LtE: ">",
    ast.Is: "is not",
    ast.IsNot: "is",
    ast.In: "not in",
    ast.NotIn: "in",
}
_NEIGHBOURS: dict[type[ast.cmpop], str] = {ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">"}
_ARITHMETIC: dict[type[ast.operator], tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "+"),
    ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "*"),
    ast.Mod: ("%", "*"),
    ast.BitXor: ("^", "|"),
    ast.LShift: ("<<", ">>"),
    ast.RShift: (">>", "<<"),
    ast.Pow: ("**", "*"),
}
_COMPARISON = re.compile(r"is\s+not|not\s+in|is|in|[=!<>]=|[<>]")
_UNRELATED = "ArithmeticError"  # an exception that the reference neither raises nor catches


Key = tuple[str, str, str, str, str]
"""Module, function, operator, statement and change: the key of a mutant."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one mistake.

    Attributes:
        module: the module's name in its package: `_reader`.
        function: the qualified name of the function or class that the mistake is in, or `""`.
        operator: one of `OPERATORS`.
        line: the number of the line where it is.
        source: that line's text.
        statement: the statement, or the head of a compound one, without names of locals.
        change: the old and the new text, in short, without names of locals; with a number if it is
            not the first like this.
        shown: the same with the names.
        begin: where the piece that is replaced begins, in bytes.
        end: where it ends.
        replacement: the new text.
        lines: the first and the last line of the code that runs differently.
    """

    module: str
    function: str
    operator: str
    line: int
    source: str
    statement: str
    change: str
    shown: str
    begin: int
    end: int
    replacement: str
    lines: tuple[int, int]

    @property
    def id(self) -> str:
        """A name for it: `_reader.py:151:boundary:< → <=`."""
        return f"{self.module}.py:{self.line}:{self.operator}:{self.shown}"

    @property
    def key(self) -> Key:
        """The key, which stays the same when other code, names or comments change."""
        return self.module, self.function, self.operator, self.statement, self.change

    def applied(self, source: bytes) -> bytes:
        """Return the module's `source` with the mistake."""
        return source[: self.begin] + self.replacement.encode() + source[self.end :]


def mutants(module: str, source: bytes) -> list[Mutant]:
    """Return every mutant of the module of that name and source."""
    finder = _Finder(module, source)
    finder.visit(ast.parse(source))
    return sorted(finder.found, key=lambda each: (each.begin, each.end))


class _Finder(ast.NodeVisitor):
    """Walks the tree of a module and notes its mutants."""

    def __init__(self, module: str, source: bytes) -> None:
        self.module = module
        self.text = source
        self.starts = [0]  # where each line begins
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.scope: list[str] = []
        self.statement = (1, 1)  # the lines of the current simple statement
        self.head = ""  # its text, normalised
        self.locals: list[set[str]] = []  # the names that each function around it assigns
        self.found: list[Mutant] = []
        self.seen: set[tuple[int, int, str]] = set()
        self.alike: Counter[tuple[str, ...]] = Counter()

    # Positions and text.

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Return where the text of `node` begins and ends."""
        assert isinstance(node, ast.expr | ast.stmt | ast.keyword | ast.excepthandler)
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.starts[node.lineno - 1] + node.col_offset,
            self.starts[node.end_lineno - 1] + node.end_col_offset,
        )

    def text_of(self, node: ast.AST) -> str:
        """Return the text of `node`."""
        begin, end = self.span(node)
        return self.text[begin:end].decode()

    def note(self, operator: str, node: ast.AST, replacement: str) -> None:
        """Note the mutant that has `replacement` for `node`."""
        self.note_span(operator, self.span(node), replacement, self.normalised(node))

    def note_span(
        self, operator: str, span: tuple[int, int], replacement: str, old: str | None = None
    ) -> None:
        """Note the mutant that has `replacement` for a piece of the text.

        Args:
            operator: the operator.
            span: where the piece is.
            replacement: the new text.
            old: the piece, normalised; by default its text.
        """
        begin, end = span
        text = self.text[begin:end].decode()
        if text == replacement or (begin, end, replacement) in self.seen or self.is_left_out():
            return
        self.seen.add((begin, end, replacement))
        line = self.text.count(b"\n", 0, begin) + 1
        source = self.text[self.starts[line - 1] : self.starts[line]].decode().strip()
        change = _change(text if old is None else old, self.normalised_text(replacement))
        function = ".".join(self.scope)
        self.alike[function, operator, self.head, change] += 1
        number = self.alike[function, operator, self.head, change]
        self.found.append(
            Mutant(
                self.module,
                function,
                operator,
                line,
                source,
                self.head,
                change if number == 1 else f"{change} #{number}",
                _change(text, replacement) + (f" #{number}" if number > 1 else ""),
                begin,
                end,
                replacement,
                self.statement,
            )
        )

    def is_left_out(self) -> bool:
        """Return whether this function is for people."""
        return not _FOR_PEOPLE.isdisjoint(self.scope)

    # Text without the names of locals and the words of messages.

    def normalised(self, node: ast.AST) -> str:
        """Return the text of `node` in a form that neither names nor layout change."""
        names = set[str]().union(*self.locals)
        return ast.unparse(_Normalising(names).visit(copy.deepcopy(node)))

    def normalised_text(self, replacement: str) -> str:
        """Return a replacement in that form, if it is code."""
        try:
            return self.normalised(ast.parse(replacement.strip(), mode="eval").body)
        except SyntaxError:
            return replacement

    @contextmanager
    def running(
        self, first: ast.AST, last: ast.AST | None = None, head: str = ""
    ) -> Iterator[None]:
        """Take the lines from `first` to `last` for the ones that run differently.

        Args:
            first: where they begin: the statement, or the expression in its head.
            last: where they end; by default with `first`.
            head: the keyword that a compound statement begins with.
        """
        before = self.statement, self.head
        self.head = f"{head} {self.normalised(first)}".strip()
        begin, end = self.span(first)[0], self.span(last or first)[1]
        self.statement = (
            self.text.count(b"\n", 0, begin) + 1,
            self.text.count(b"\n", 0, end) + 1,
        )
        yield
        self.statement, self.head = before

    def visit(self, node: ast.AST) -> None:
        """Visit `node` and its children."""
        simple = isinstance(node, ast.stmt) and not hasattr(node, "body")
        if simple:
            with self.running(node):
                super().visit(node)
        else:
            super().visit(node)

    def visit_all(self, nodes: list[ast.stmt]) -> None:
        """Visit each of `nodes`."""
        for node in nodes:
            self.visit(node)

    # Scopes.

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Defaults are computed outside of the function, where it is defined."""
        before = self.statement, self.head
        self.statement = node.lineno, max(node.lineno, node.body[0].lineno - 1)
        self.scope.append(node.name)
        for default in (*node.args.defaults, *node.args.kw_defaults):
            if default is not None:
                self.head = f"def {node.name}: {self.normalised(default)}"
                self.visit(default)
        self.statement, self.head = before
        self.locals.append(_assigned(node))
        self.visit_all(node.body)
        self.locals.pop()
        self.scope.pop()

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        """A coroutine function is a function."""
        self.visit_FunctionDef(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Only the body can be mistaken."""
        self.scope.append(node.name)
        self.visit_all(node.body)
        self.scope.pop()

    # Code that is never worth a mutant.

    def is_no_code(self, node: ast.Assign) -> bool:
        """Return whether an assignment is for a type checker, `import *`, or memory only."""
        names = {each.id for each in node.targets if isinstance(each, ast.Name)}
        if not names.isdisjoint(("__all__", "__slots__", "__match_args__")):
            return True
        called = node.value.func if isinstance(node.value, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in ("TypeVar", "ParamSpec"):
            return True
        if self.scope or not all(name[:1].isupper() and not name.isupper() for name in names):
            return False
        return isinstance(node.value, ast.Subscript | ast.BinOp | ast.Name)

    def is_tuning(self, node: ast.Assign | ast.AnnAssign) -> bool:
        """Return whether an assignment at the top of a module is marked `tuning` in a comment."""
        line = self.text[self.starts[node.lineno - 1] : self.starts[node.lineno]].decode()
        return not self.scope and "tuning" in line.partition("#")[2]

    def is_message(self) -> bool:
        """Return whether a text with spaces in this statement is for people."""
        if self.head.startswith("raise "):
            return True
        called = re.match(r"(?:await )?([\w.]+)\(", self.head)
        return bool(called) and called[1].rpartition(".")[2] in _TELLING  # type: ignore[index]

    # Statements.

    def visit_Expr(self, node: ast.Expr) -> None:
        """A call, or a docstring."""
        if isinstance(node.value, ast.Constant):
            return  # a docstring
        called = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(called, ast.Call):
            if _LOGGING.match(ast.unparse(called.func)):
                return
            self.note("dropped call", node, "pass")
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        """An assignment can be missing."""
        if self.is_no_code(node) or self.is_tuning(node):
            return
        self.note("dropped assignment", node, "pass")
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """An assignment, if it has a value; its annotation does not matter."""
        if node.value is not None and not self.is_tuning(node):
            self.note("dropped assignment", node, "pass")
            self.visit(node.value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        """`+=` can be missing, or be `-=`."""
        if isinstance(node.target, ast.Name) and node.target.id == "__all__":
            return
        self.note("dropped assignment", node, "pass")
        self.note_between("arithmetic", node.target, node.value, *_ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Another exception can be raised, or none."""
        self.note("dropped raise", node, "pass")
        if node.exc is not None:
            kind = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
            # The arguments stay if they can; some exceptions take a keyword argument.
            self.note("swapped exception", kind, _UNRELATED)
        self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> None:
        """None can be returned; a return of nothing can be missing."""
        value = node.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            self.note("changed return", node, "pass")
        elif not (isinstance(value, ast.Constant) and isinstance(value.value, bool)):
            self.note("changed return", value, "None")
        self.generic_visit(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """An assertion has a condition, unless it only tells a type."""
        if _tells_a_type(node.test):
            return
        self.condition(node.test)
        self.visit(node.test)

    def visit_If(self, node: ast.If) -> None:
        """Visit the condition, then the branches."""
        with self.running(node.test, head="if"):
            self.condition(node.test)
            self.visit(node.test)
        self.visit_all(node.body)
        self.visit_all(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        """Visit the condition, then the body."""
        with self.running(node.test, head="while"):
            self.condition(node.test)
            self.visit(node.test)
        self.visit_all(node.body)
        self.visit_all(node.orelse)

    def visit_For(self, node: ast.For) -> None:
        """A loop can have nothing to go through."""
        with self.running(node.iter, head="for"):
            self.note("loop", node.iter, "()")
            self.visit(node.iter)
        self.visit_all(node.body)
        self.visit_all(node.orelse)

    def visit_With(self, node: ast.With) -> None:
        """Visit the context managers, then the body."""
        for item in node.items:
            with self.running(item.context_expr, head="with"):
                self.visit(item.context_expr)
        self.visit_all(node.body)

    def visit_Break(self, node: ast.Break) -> None:
        """A loop can go on."""
        self.note("loop", node, "continue")

    def visit_Continue(self, node: ast.Continue) -> None:
        """A loop can end."""
        self.note("loop", node, "break")

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        """More can be caught, or less."""
        if node.type is not None:
            with self.running(node.type, head="except"):
                wider = (
                    "Exception" if self.text_of(node.type) == "BaseException" else "BaseException"
                )
                self.note("swapped exception", node.type, wider)
                self.note("swapped exception", node.type, _UNRELATED)
                if isinstance(node.type, ast.Tuple):
                    for kind in node.type.elts:
                        self.note("swapped exception", kind, _UNRELATED)
        self.visit_all(node.body)

    # Expressions.

    def condition(self, node: ast.expr) -> None:
        """Note the mutants of a condition as a whole."""
        text = self.text_of(node)
        if not isinstance(node, ast.Compare | ast.Constant) and not _is_not(node):
            self.note("negated condition", node, f"(not ({text}))")
        self.note("removed condition", node, "True")
        self.note("removed condition", node, "False")

    def note_between(
        self, operator: str, left: ast.AST, right: ast.AST, old: str, new: str
    ) -> None:
        """Note the mutant that has `new` for the `old` that stands between two nodes."""
        begin, end = self.span(left)[1], self.span(right)[0]
        at = self.text.index(old.encode(), begin, end)
        self.note_span(operator, (at, at + len(old.encode())), new)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        """A conditional expression has a condition."""
        self.condition(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        """A comprehension may have conditions."""
        for test in node.ifs:
            self.condition(test)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """Each comparison of a chain can be another."""
        operands = [node.left, *node.comparators]
        for left, kind, right in zip(operands, map(type, node.ops), operands[1:], strict=False):
            begin, end = self.span(left)[1], self.span(right)[0]
            found = _COMPARISON.search(self.text[begin:end].decode())
            assert found
            old = found.group()
            self.note_between("comparison", left, right, old, _OPPOSITES[kind])
            if kind in _NEIGHBOURS:
                self.note_between("boundary", left, right, old, _NEIGHBOURS[kind])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        """`and` can be `or`; an operand can be missing."""
        old, new, nothing = (
            ("and", "or", "True") if isinstance(node.op, ast.And) else ("or", "and", "False")
        )
        pieces = [self.text_of(node.values[0])]
        for left, right in zip(node.values, node.values[1:], strict=False):
            between = self.text[self.span(left)[1] : self.span(right)[0]].decode()
            pieces += [re.sub(rf"\b{old}\b", new, between), self.text_of(right)]
        begin, end = self.span(node.values[0])[0], self.span(node.values[-1])[1]
        self.note_span("boolean", (begin, end), "".join(pieces), self.normalised(node))
        for value in node.values:
            self.note("boolean", value, nothing)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        """`not` can be missing; a negative number is a number."""
        if _is_not(node):
            self.note("boolean", node, f"({self.text_of(node.operand)})")
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            assert isinstance(node.operand.value, int | float)
            number = -node.operand.value
            self.note("constant", node, str(number + 1))
            self.note("constant", node, str(number - 1))
        else:
            self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """`+` can be `-`."""
        self.note_between("arithmetic", node.left, node.right, *_ARITHMETIC[type(node.op)])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """A keyword argument can be missing."""
        if isinstance(node.func, ast.Name) and node.func.id == "cast":
            self.visit(node.args[1])
            return
        for keyword in node.keywords:
            self.note("dropped argument", keyword, "**{}")
        makes_error = ast.unparse(node.func).endswith(("Error", "Warning"))
        for each in ast.iter_child_nodes(node):
            if not (makes_error and _is_words(each)):
                self.visit(each)

    def visit_Slice(self, node: ast.Slice) -> None:
        """A slice can lack a bound."""
        for bound in (node.lower, node.upper):
            if bound is not None:
                self.note("boundary", bound, "")
        self.generic_visit(node)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text for people: all of it or nothing."""
        if not self.is_message():
            self.note("constant", node, '""')

    def visit_Constant(self, node: ast.Constant) -> None:
        """A constant can be a similar one; None has none."""
        value = node.value
        if isinstance(value, bool):
            self.note("boolean", node, str(not value))
        elif isinstance(value, int | float):
            self.note("constant", node, str(value + 1))
            self.note("constant", node, str(value - 1))
        elif isinstance(value, str) and not (" " in value and self.is_message()):
            self.note("constant", node, '""' if value else '"mutant"')
        elif isinstance(value, bytes):
            self.note("constant", node, 'b""' if value else 'b"mutant"')


def _is_words(node: ast.AST) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and " " in node.value
    return isinstance(node, ast.JoinedStr)


def _is_not(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)


def _tells_a_type(test: ast.expr) -> bool:
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot) and ast.unparse(test.comparators[0]) == "None"
    return isinstance(test, ast.Call) and ast.unparse(test.func) == "isinstance"


def _assigned(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """Return the names of a function's locals, without `self`."""
    names = {each.arg for each in ast.walk(function.args) if isinstance(each, ast.arg)}
    names |= {
        each.id
        for each in ast.walk(function)
        if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
    }
    names |= {
        each.name
        for each in ast.walk(function)
        if isinstance(each, ast.ExceptHandler) and each.name
    }
    return names - {"self", "cls"}


class _Normalising(ast.NodeTransformer):
    """Numbers the locals as they appear, and leaves out the words of messages."""

    def __init__(self, names: set[str]) -> None:
        self.names = names
        self.numbers: dict[str, str] = {}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        if node.id in self.names:
            node.id = self.numbers.setdefault(node.id, f"_{len(self.numbers) + 1}")
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        if isinstance(node.value, str) and " " in node.value:
            node.value = "…"
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.Constant:
        return ast.Constant("…")


def _change(old: str, new: str) -> str:
    return f"{_short(old)} → {_short(new) or 'nothing'}"


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else text[:40] + "…" + text[-19:]
