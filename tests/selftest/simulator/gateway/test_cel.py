"""Expressions of policies."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_modelrt.simulator.gateway.cel import EvaluationError, ExpressionError, compile_expression

ENV: dict[str, Any] = {
    "request": {"path": "/llm/model-a/v1/models", "headers": {"x-a": "1"}},
    "auth": {
        "identity": {"user": {"username": "system:serviceaccount:maas-api:free-user", "groups": ["a", "b"]}, "n": 3},
        "metadata": {"matchedTier": {"tier": "free"}},
    },
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('auth.identity.user.username.split(":")[3]', "free-user"),
        ("request.path.split('/')[1]", "llm"),
        ('{ "groups": auth.identity.user.groups }', {"groups": ["a", "b"]}),
        ('auth.identity.user.groups + [auth.identity.user.username.split(":")[2]]', ["a", "b", "maas-api"]),
        ('auth.metadata.matchedTier["tier"] == "free"', True),
        ('request.path.startsWith("/maas-api") || request.path.endsWith("models")', True),
        ('!request.path.contains("model-b") && auth.identity.n >= 3', True),
        ('auth.identity.n > 3 ? "many" : "few"', "few"),
        ('"b" in auth.identity.user.groups', True),
        ('auth.identity.user.groups.exists(g, g == "b")', True),
        ('auth.identity.user.groups.all(g, g == "b")', False),
        ("auth.identity.user.groups.filter(g, g != 'a')", ["b"]),
        ("has(auth.identity.userid)", False),
        ("size(auth.identity.user.groups) * 2 - 1", 3),
        ("'kubernetes-local'", "kubernetes-local"),
        ('"a\\"b"', 'a"b'),
        ("[1, 2.5, -3, true, null]", [1, 2.5, -3, True, None]),
    ],
)  # fmt: skip
def test_values(text: str, value: object) -> None:
    assert compile_expression(text).evaluate(ENV) == value


@pytest.mark.parametrize("text", ["auth.identity.userid", "request.path.split('/')[9]", "nothing", "request.path + 1"])
def test_what_is_not_there_is_an_error_and_no_true_predicate(text: str) -> None:
    expression = compile_expression(text)
    with pytest.raises(EvaluationError):
        expression.evaluate(ENV)
    assert not compile_expression(f"({text}) == 'free'").holds(ENV)


@pytest.mark.parametrize("text", ["", "a ==", "a b", "f(1", "a.foo()", "§", "[1, 2", "x.exists(y)"])
def test_what_is_no_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(text)
