"""The rewriter: turns the names of a strategy's source into places, keeping the author's file and line numbers.

`params["fast"]` becomes `memory[param_base + 0]`, `memory["quick"]` becomes `memory[memory_base + 0]` (in a cross-section
`memory[i]["quick"]` becomes `memory[memory_base + i * memory_stride + 0]`), and a window handed to an indicator becomes the
flat array and the place of its header. A wrong name is an error here, before anything runs.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Iterable
from types import CodeType, FunctionType
from typing import Any

from simcore import indicators
from simcore.domain.errors import StrategyError, did_you_mean
from simcore.domain.records import MARKET, SIGNAL, SLEEVE
from simcore.strategy.memory import Layout
from simcore.strategy.sources import shown

MARKET_FIELDS = MARKET.names or ()
SIGNAL_FIELDS = SIGNAL.names or ()
POSITION_FIELDS = ("side", "qty", "entry_price", "bars_held", "entry_ns", "exit_ns")
BOOK_KINDS = ("timer", "book", "trade")
OWN_KINDS = ("bar", *BOOK_KINDS)
ARGUMENTS = dict.fromkeys(OWN_KINDS, ("market", "position", "params", "memory", "signal")) | {
    "cross": ("market", "position", "params", "memory", "signal", "n"),
}
REWRITTEN = dict.fromkeys(OWN_KINDS, ("market", "position", "memory", "param_base", "memory_base", "signal")) | {
    "cross": ("market", "position", "memory", "param_base", "memory_base", "memory_stride", "signal", "n"),
}
READERS = {"value_ago"}


def find_function(function: Callable[..., Any]) -> ast.FunctionDef:
    """Return the syntax tree of `function` with the line numbers of its file."""
    code = function.__code__
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename, function.__globals__)
    if not lines:
        raise StrategyError(f"{function.__name__}: its source is not readable. Write the strategy in a .py file.")
    for node in ast.walk(ast.parse("".join(lines), code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == function.__name__:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if code.co_firstlineno in (first, node.lineno):
                return node
    raise StrategyError(f"{shown(code.co_filename)}:{code.co_firstlineno}: '{function.__name__}' must be a plain `def` function.")


def rewrite(
    function: Callable[..., Any], on: str, params: Iterable[str], layout: Layout, where: str
) -> tuple[FunctionType, dict[str, int], frozenset[str]]:
    """Return `function` with the names replaced by places, the line on which each window is first fed, the signal fields it sets.

    `where` is the file as it is shown in errors. Raises StrategyError with file, line, name and the nearest right one.
    """
    tree = find_function(function)
    _check_arguments(tree, on, where)
    rewriter = _Rewriter(function, on, tuple(params), layout, where)
    body = [rewriter.visit(statement) for statement in tree.body]
    new = _parsed_function(f"def {tree.name}({', '.join(REWRITTEN[on])}): pass")
    new.body = body
    ast.copy_location(new, tree)
    return _build(function, new), rewriter.fed, frozenset(rewriter.stated)


def _parsed_function(source: str) -> ast.FunctionDef:
    node = ast.parse(source).body[0]
    assert isinstance(node, ast.FunctionDef)
    return node


def _check_arguments(tree: ast.FunctionDef, on: str, where: str) -> None:
    names = [a.arg for a in tree.args.posonlyargs + tree.args.args + tree.args.kwonlyargs]
    extra = tree.args.vararg or tree.args.kwarg or tree.args.defaults
    if tuple(names) != ARGUMENTS[on] or extra:
        raise StrategyError(
            f"{where}:{tree.lineno}: {tree.name} takes ({', '.join(names)}). "
            f'A strategy on="{on}" takes ({", ".join(ARGUMENTS[on])}).'
        )


def _build(function: Callable[..., Any], tree: ast.FunctionDef) -> FunctionType:
    """Compile the tree under the author's file name and bind it to the author's globals and closure."""
    free = function.__code__.co_freevars
    wrapper = _parsed_function(f"def _maker({', '.join(free)}):\n    return {tree.name}")
    wrapper.body.insert(0, tree)
    module = ast.fix_missing_locations(ast.Module(body=[wrapper], type_ignores=[]))
    outer = compile(module, function.__code__.co_filename, "exec", dont_inherit=True)
    maker = next(c for c in outer.co_consts if isinstance(c, CodeType))
    code = next(c for c in maker.co_consts if isinstance(c, CodeType) and c.co_name == tree.name)
    cells = dict(zip(free, function.__closure__ or (), strict=True))
    closure = tuple(cells[name] for name in code.co_freevars)
    new = FunctionType(code, function.__globals__, tree.name, None, closure)
    new.__qualname__ = function.__qualname__
    new.__module__ = function.__module__
    new.__doc__ = function.__doc__
    return new


class _Rewriter(ast.NodeTransformer):
    def __init__(self, function: Callable[..., Any], on: str, params: tuple[str, ...], layout: Layout, where: str) -> None:
        self.function, self.on, self.params, self.layout, self.where = function, on, params, layout, where
        self.fields = {"market": MARKET_FIELDS, "position": POSITION_FIELDS, "signal": SIGNAL_FIELDS}
        self.fed: dict[str, int] = {}
        self.stated: set[str] = set()

    def wrong(self, node: ast.AST, what: str) -> StrategyError:
        line = getattr(node, "lineno", self.function.__code__.co_firstlineno)
        return StrategyError(f"{self.where}:{line}: {self.function.__name__}: {what}")

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        role, index = self._role(node)
        if role == "params":
            return self._param(node)
        if role == "memory":
            return self._scalar(node, index)
        if role in self.fields:
            return self._field(node, role)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Subscript):
            role, index = self._role(first)
            name = _text(first.slice)
            if role == "memory" and name in self.layout.window_names:
                self._feed(node, name)
                place = self._place("memory_base", self.layout.offset(name), index)
                rest = [self.visit(a) for a in node.args[1:]]
                keywords = [self.visit(k) for k in node.keywords]
                flat = ast.Name("memory", ast.Load())
                return ast.copy_location(ast.Call(self.visit(node.func), [flat, place, *rest], keywords), node)
        return self.generic_visit(node)

    def visit_Return(self, node: ast.Return) -> ast.AST:
        if node.value is not None and not (isinstance(node.value, ast.Constant) and node.value.value is None):
            raise self.wrong(node, "it returns a value, which nobody reads: write the wish into signal['side'].")
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id in ("params", "memory"):
            example = self._spelling(node.id)
            raise self.wrong(node, f"'{node.id}' can only be used with a name in quotes, like {example}.")
        if node.id in ARGUMENTS[self.on] and not isinstance(node.ctx, ast.Load):
            raise self.wrong(node, f"'{node.id}' is the engine's: give your variable another name.")
        if node.id in ("param_base", "memory_base", "memory_stride"):
            raise self.wrong(node, f"'{node.id}' is a reserved name: give your variable another name.")
        return node

    def _role(self, node: ast.Subscript) -> tuple[str, ast.expr | None]:
        """Return which argument a subscript names a value of, and in a cross-section the symbol's index."""
        value = node.value
        if isinstance(value, ast.Name) and (self.on != "cross" or value.id == "params"):
            return value.id, None
        if isinstance(value, ast.Subscript) and isinstance(value.value, ast.Name) and self.on == "cross":
            return value.value.id if value.value.id != "params" else "", value.slice
        return "", None

    def _param(self, node: ast.Subscript) -> ast.AST:
        name = self._name(node, "params", self.params)
        if not isinstance(node.ctx, ast.Load):
            raise self.wrong(node, f"params['{name}'] is read-only: keep what changes in memory.")
        place = self._place("param_base", self.params.index(name), None)
        return ast.copy_location(ast.Subscript(ast.Name("memory", ast.Load()), place, node.ctx), node)

    def _scalar(self, node: ast.Subscript, index: ast.expr | None) -> ast.AST:
        name = self._name(node, "memory", self.layout.names)
        if name in self.layout.window_names:
            use = f"sma({self._spelling('memory', name)}, close)"
            raise self.wrong(node, f"'{name}' is a window: use it as the first argument of an indicator, like {use}.")
        place = self._place("memory_base", self.layout.offset(name), index)
        return ast.copy_location(ast.Subscript(ast.Name("memory", ast.Load()), place, node.ctx), node)

    def _field(self, node: ast.Subscript, role: str) -> ast.AST:
        name = self._name(node, role, self.fields[role])
        if role != "signal" and not isinstance(node.ctx, ast.Load):
            raise self.wrong(node, f"{role}['{name}'] is read-only: a strategy writes to signal and memory.")
        if role == "signal" and not isinstance(node.ctx, ast.Load):
            self.stated.add(name)
        return self.generic_visit(node)

    def _name(self, node: ast.Subscript, role: str, known: tuple[str, ...]) -> str:
        name = _text(node.slice)
        if name is None:
            raise self.wrong(node, f"{role} is read by a name in quotes, like {self._spelling(role)}.")
        if name in known:
            return name
        if role == "position" and name in (SLEEVE.names or ()):
            raise self.wrong(node, f"position['{name}'] is the engine's own. A strategy sees: {', '.join(known)}.")
        if not known:
            raise self.wrong(node, f"{role} has no '{name}': name it in @strategy(..., {role}=...).")
        raise self.wrong(node, f"{role} has no '{name}'. {did_you_mean(name, known)}")

    def _spelling(self, role: str, name: str | None = None) -> str:
        known = {"params": self.params, "memory": self.layout.names, **self.fields}.get(role) or ("name",)
        index = "[i]" if self.on == "cross" and role != "params" else ""
        return f"{role}{index}['{name or known[0]}']"

    def _place(self, base: str, offset: int, index: ast.expr | None) -> ast.expr:
        place: ast.expr = ast.Name(base, ast.Load())
        if index is not None:
            step = ast.BinOp(self.visit(index), ast.Mult(), ast.Name("memory_stride", ast.Load()))
            place = ast.BinOp(place, ast.Add(), step)
        return ast.BinOp(place, ast.Add(), ast.Constant(offset))

    def _feed(self, node: ast.Call, name: str) -> None:
        """Refuse a second call that would add a second value a bar to the same window."""
        called = node.func.id if isinstance(node.func, ast.Name) else ""
        known = self.function.__globals__.get(called)
        if known is None or known is not getattr(indicators, called, None):
            return
        wanted = inspect.getfullargspec(getattr(known, "py_func", known)).args[2:]
        if len(node.args) - 1 != len(wanted) or node.keywords:
            takes = ", ".join([f"{self._spelling('memory', name)}", *wanted])
            raise self.wrong(node, f"{called} is called with other arguments than it takes: {called}({takes}).")
        if called in READERS:
            return
        if name in self.fed:
            raise self.wrong(
                node,
                f"window '{name}' already belongs to the indicator on line {self.fed[name]}, and each call adds a value. "
                f"Declare a second window.",
            )
        self.fed[name] = node.lineno


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
