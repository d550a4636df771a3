"""Expressions of policies: the part of the Common Expression Language that policies use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

Env = Mapping[str, Any]
Node = Callable[[Env], Any]

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}]))"""
)
_LEVELS: tuple[tuple[str, ...], ...] = (("==", "!=", "<", "<=", ">", ">=", "in"), ("+", "-"), ("*", "/", "%"))
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


class ExpressionError(Exception):
    """The text is no expression, or one that is not understood here."""


class EvaluationError(Exception):
    """Something the expression asks for is not there, or has the wrong type."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression."""

    text: str
    _node: Node

    def evaluate(self, env: Env) -> Any:
        """The value in ``env``.

        Raises:
            EvaluationError: a name, key or index is missing, or types do not fit.
        """
        try:
            return self._node(env)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise EvaluationError(f"{self.text}: {error}") from None

    def holds(self, env: Env) -> bool:
        """Whether the value is true; a missing name makes a predicate false."""
        try:
            return self.evaluate(env) is True
        except EvaluationError:
            return False


@lru_cache(maxsize=512)
def compile_expression(text: str) -> Expression:
    """Compile ``text``.

    Raises:
        ExpressionError: it cannot be understood.
    """
    parser = _Parser(text)
    node = parser.expression()
    parser.expect_end()
    return Expression(text.strip(), node)


class _Parser:
    """Recursive descent, one method per level of precedence."""

    def __init__(self, text: str) -> None:
        self._text = text.strip()
        self._tokens = list(self._split())
        self._at = 0

    def _split(self) -> list[tuple[str, str]]:
        found, place = [], 0
        while place < len(self._text):
            match = _TOKEN.match(self._text, place)
            if match is None or match.lastgroup is None:
                raise ExpressionError(f"unexpected {self._text[place:].strip()[:20]!r} in {self._text!r}")
            found.append((match.lastgroup, match[match.lastgroup]))
            place = match.end()
        return found

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self) -> tuple[str, str]:
        if self._at >= len(self._tokens):
            raise ExpressionError(f"{self._text!r} ends too early")
        self._at += 1
        return self._tokens[self._at - 1]

    def _accept(self, sign: str) -> bool:
        if self._peek() == sign and self._tokens[self._at][0] != "string":
            self._at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._accept(sign):
            raise ExpressionError(f"{sign!r} is missing in {self._text!r}")

    def expect_end(self) -> None:
        """Nothing may follow."""
        if self._at < len(self._tokens):
            raise ExpressionError(f"unexpected {self._peek()!r} in {self._text!r}")

    def expression(self) -> Node:
        """``a ? b : c`` and everything that binds tighter."""
        condition = self._either()
        if not self._accept("?"):
            return condition
        yes = self.expression()
        self._expect(":")
        no = self.expression()
        return lambda env: yes(env) if condition(env) else no(env)

    def _either(self) -> Node:
        node = self._both()
        while self._accept("||"):
            node = _or(node, self._both())
        return node

    def _both(self) -> Node:
        node = self._binary(0)
        while self._accept("&&"):
            node = _and(node, self._binary(0))
        return node

    def _binary(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._unary()
        node = self._binary(level + 1)
        while self._peek() in _LEVELS[level] and self._tokens[self._at][0] != "string":
            sign = self._take()[1]
            node = _operation(sign, node, self._binary(level + 1))
        return node

    def _unary(self) -> Node:
        if self._accept("!"):
            node = self._unary()
            return lambda env: not node(env)
        if self._accept("-"):
            node = self._unary()
            return lambda env: -node(env)
        return self._member()

    def _member(self) -> Node:
        node = self._primary()
        while True:
            if self._accept("."):
                name = self._take()[1]
                node = self._call(node, name) if self._accept("(") else _index(node, lambda _env, key=name: key)  # type: ignore[misc]
            elif self._accept("["):
                key = self.expression()
                self._expect("]")
                node = _index(node, key)
            else:
                return node

    def _call(self, target: Node, name: str) -> Node:
        if name in ("exists", "all", "filter", "map"):
            variable = self._take()[1]
            self._expect(",")
            body = self.expression()
            self._expect(")")
            return _macro(name, target, variable, body)
        arguments = self._arguments(")")
        method = _METHODS.get(name)
        if method is None:
            raise ExpressionError(f"function {name} is not known here (in {self._text!r})")
        return lambda env: method(target(env), *(argument(env) for argument in arguments))

    def _arguments(self, end: str) -> list[Node]:
        found: list[Node] = []
        while not self._accept(end):
            if found:
                self._expect(",")
            found.append(self.expression())
        return found

    def _primary(self) -> Node:
        kind, text = self._take()
        if kind == "number":
            number: int | float = float(text) if "." in text else int(text)
            return lambda _env: number
        if kind == "string":
            value = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
            return lambda _env: value
        if kind == "name":
            return self._named(text)
        if text == "(":
            node = self.expression()
            self._expect(")")
            return node
        if text == "[":
            items = self._arguments("]")
            return lambda env: [item(env) for item in items]
        if text == "{":
            return self._map()
        raise ExpressionError(f"unexpected {text!r} in {self._text!r}")

    def _named(self, name: str) -> Node:
        constants = {"true": True, "false": False, "null": None}
        if name in constants:
            return lambda _env: constants[name]
        if not self._accept("("):
            return lambda env: env[name]
        arguments = self._arguments(")")
        if name == "has" and len(arguments) == 1:
            return _has(arguments[0])
        function = _FUNCTIONS.get(name)
        if function is None:
            raise ExpressionError(f"function {name} is not known here (in {self._text!r})")
        return lambda env: function(*(argument(env) for argument in arguments))

    def _map(self) -> Node:
        pairs: list[tuple[Node, Node]] = []
        while not self._accept("}"):
            if pairs:
                self._expect(",")
            key = self.expression()
            self._expect(":")
            pairs.append((key, self.expression()))
        return lambda env: {key(env): value(env) for key, value in pairs}


def _or(left: Node, right: Node) -> Node:
    return lambda env: left(env) is True or right(env) is True


def _and(left: Node, right: Node) -> Node:
    return lambda env: left(env) is True and right(env) is True


def _index(target: Node, key: Node) -> Node:
    return lambda env: target(env)[key(env)]


def _has(node: Node) -> Node:
    def test(env: Env) -> bool:
        try:
            node(env)
        except (KeyError, IndexError, TypeError):
            return False
        return True

    return test


def _macro(name: str, target: Node, variable: str, body: Node) -> Node:
    def run(env: Env) -> Any:
        items = [(item, body({**env, variable: item})) for item in target(env)]
        if name == "exists":
            return any(value is True for _item, value in items)
        if name == "all":
            return all(value is True for _item, value in items)
        return [item if name == "filter" else value for item, value in items if name == "map" or value is True]

    return run


_OPERATIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "==": lambda left, right: left == right,
    "!=": lambda left, right: left != right,
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "in": lambda left, right: left in right,
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left // right if isinstance(left, int) and isinstance(right, int) else left / right,
    "%": lambda left, right: left % right,
}
_METHODS: Mapping[str, Callable[..., Any]] = {
    "split": lambda text, separator: text.split(separator),
    "startsWith": lambda text, part: text.startswith(part),
    "endsWith": lambda text, part: text.endswith(part),
    "contains": lambda text, part: part in text,
    "matches": lambda text, pattern: re.search(pattern, text) is not None,
    "replace": lambda text, old, new: text.replace(old, new),
    "lowerAscii": lambda text: text.lower(),
    "join": lambda items, separator="": separator.join(items),
    "size": len,
}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "size": len,
    "string": str,
    "int": int,
    "double": float,
    "bool": bool,
    "tostr": lambda value: value if isinstance(value, str) else json.dumps(value, separators=(",", ":")),
}


def _operation(sign: str, left: Node, right: Node) -> Node:
    act = _OPERATIONS[sign]
    return lambda env: act(left(env), right(env))
