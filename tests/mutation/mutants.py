"""The mutants of a module: its source with one small change each.

Most changes are mutmut's (a number, a comparison, an operator, a condition of a ternary, an argument that is None, a
value that is None). Ours are three more: a condition is turned round, a call that is a statement is left out, a
function returns None. What says nothing about behaviour is left alone: docstrings, annotations and names of types,
``__all__``, imports, asserts (``strict=True`` of zip is one), loggers, names of threads, and the texts of errors and
log lines. None is not tried for False, which it nearly always equals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst
import libcst.matchers as m
from attrs import frozen
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_string

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = m.MatchRegex("tuple|list|dict|set|frozenset|Mapping|Callable|Iterator|Iterable|Sequence")
_SKIPPED = (
    m.Raise()
    | m.Assert()
    | m.Annotation()
    | m.Import()
    | m.ImportFrom()
    | m.If(test=m.Name("TYPE_CHECKING"))
    | m.Assign(targets=[m.AssignTarget(target=m.Name("__all__") | m.Name("_log"))])
    | m.Assign(value=m.Call(func=m.Name("TypeVar")))
    | m.Assign(targets=[m.AssignTarget(target=m.Name())], value=m.Subscript(value=m.Name(_TYPES)))
    | m.Arg(keyword=m.Name("thread_name_prefix") | m.Name("strict"))
    | m.Expr(value=m.SimpleString() | m.ConcatenatedString())
    | m.Call(func=m.Attribute(value=m.Name("_log") | m.Name("warnings")))
    | m.Call(func=m.Name("cast") | m.Name("did_you_mean"))
    | m.Call(func=m.MatchRegex(r".*Error$") | m.Name(m.MatchRegex(r".*Error$")))
)
"""What is not looked into."""


@frozen
class Mutant:
    """One change: where it is, what made it, and the code before and after.

    ``body`` is the lines of the function around it, and None for what runs when the module is imported.
    """

    number: int
    line: int
    kind: str
    before: str
    after: str
    body: tuple[int, int] | None
    node: cst.CSTNode
    new: cst.CSTNode


def _arguments(node: cst.Call) -> Iterator[cst.CSTNode]:
    """Change arguments as mutmut does, but leave none out that has no name: that only raises a TypeError."""
    for place, arg in enumerate(node.args):
        if not m.matches(arg, _SKIPPED):
            if not arg.star and not m.matches(arg.value, m.Name("None") | m.Name("False")):
                changed = arg.with_changes(value=cst.Name("None"))
                yield node.with_changes(args=[*node.args[:place], changed, *node.args[place + 1 :]])
            if arg.keyword is not None and len(node.args) > 1:
                yield node.with_changes(args=[*node.args[:place], *node.args[place + 1 :]])


def _string(node: cst.BaseString) -> Iterator[cst.CSTNode]:
    """Take another string; one change is enough."""
    yield from list(operator_string(node))[:1]


def _condition(node: cst.If | cst.While | cst.CompIf) -> Iterator[cst.CSTNode]:
    """Turn a condition round that is no comparison, for those are mutmut's."""
    if not m.matches(node.test, m.Comparison() | m.UnaryOperation(operator=m.Not())):
        test = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        space = cst.SimpleWhitespace(" ")
        negated = cst.UnaryOperation(operator=cst.Not(whitespace_after=space), expression=test)
        yield node.with_changes(test=negated)


def _statement(node: cst.Expr) -> Iterator[cst.CSTNode]:
    """Leave out a call."""
    if m.matches(node.value, m.Call()):
        yield cst.Pass()


def _result(node: cst.Return) -> Iterator[cst.CSTNode]:
    """Return None."""
    if node.value is not None and not m.matches(node.value, m.Name("None")):
        yield node.with_changes(value=cst.Name("None"), whitespace_after_return=cst.SimpleWhitespace(" "))


_REPLACED = {operator_arg_removal: _arguments, operator_string: _string}
_OPERATORS = [
    *((type_, _REPLACED.get(operator, operator)) for type_, operator in mutation_operators),
    (cst.If, _condition),
    (cst.While, _condition),
    (cst.CompIf, _condition),
    (cst.Expr, _statement),
    (cst.Return, _result),
]


class _Finder(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self, module: cst.Module) -> None:
        super().__init__()
        self.module, self.found = module, []
        self.bodies: list[tuple[int, int]] = []

    def _lines(self, node: cst.CSTNode) -> tuple[int, int]:
        place = self.get_metadata(PositionProvider, node)
        return place.start.line, place.end.line

    def on_visit(self, node: cst.CSTNode) -> bool:
        if m.matches(node, _SKIPPED):
            return False
        if isinstance(node, cst.FunctionDef):
            self.bodies.append(self._lines(node.body))
        for type_, operator in _OPERATORS:
            if isinstance(node, type_):
                for new in operator(node):
                    self._add(node, new, operator.__name__.removeprefix("operator_").strip("_"))
        return True

    def _add(self, node: cst.CSTNode, new: cst.CSTNode, kind: str) -> None:
        line = self._lines(node)[0]
        shown = (node.test, new.test) if isinstance(node, cst.If | cst.While) else (node, new)
        texts = (" ".join(self.module.code_for_node(each).split()) for each in shown)
        body = self.bodies[-1] if self.bodies else None
        self.found.append(Mutant(len(self.found), line, kind, *texts, body, node, new))

    def on_leave(self, node: cst.CSTNode) -> None:
        if isinstance(node, cst.FunctionDef):
            self.bodies.pop()


def find(source: str) -> tuple[cst.Module, list[Mutant]]:
    """Return a module and its mutants, in the order of its lines."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    finder = _Finder(wrapper.module)
    wrapper.visit(finder)
    return wrapper.module, finder.found


def write(module: cst.Module, mutant: Mutant) -> str | None:
    """Return the source of a mutant; None if it is not Python."""
    code = module.deep_replace(mutant.node, mutant.new).code
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return None
    return code
