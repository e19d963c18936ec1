"""Bounds the size of an expression when evaluated, from its LaTeX, before any algebra.

Exponents count for their own base: those of `x^5 - x^4` are independent, those of `(x^5)^4` multiply, and a power of a
sum has the terms of its expansion. Knows LaTeX and sizes, and nothing of answers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import comb, inf, log2

MOST_BITS = 14_000
"""4,200 digits: Python converts no larger integer to text."""
MOST_TERMS = 500
HIGHEST_DEGREE = 3000
HIGHEST_DIVIDED = 300
"""Degree of a polynomial that is divided by a sum."""
SMALLEST_TOWER = 64
"""Bits up to which a power is evaluated, so that `2^{2^{10}}` is not treated as a tower."""
DEEPEST = 10
"""Nesting depth of round and square brackets: math_verify's parser takes twice the time for each level."""
DEEPEST_BRACES = 40

_TOKEN = re.compile(r"\\(?:begin|end)\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|\d+(?:\.\d+)?|\S", re.S)
_ENDLESS = frozenset({"\\int", "\\iint", "\\oint", "\\sum", "\\prod", "\\lim"})
_WORDS = frozenset(
    {"\\text", "\\textbf", "\\textit", "\\textrm", "\\mbox", "\\mathrm", "\\mathbf", "\\mathbb", "\\operatorname"}
)
_OPEN = frozenset({"{", "(", "[", "\\{", "\\left", "\\begin"})
_CLOSE = frozenset({"}", ")", "]", "\\}", "\\right", "\\end"})
_BETWEEN_TERMS = frozenset(
    {"+", "-", "\u2212", ",", ";", "=", "<", ">", "&", "$", "\\\\", "\\pm", "\\mp", "\\cup", "\\cap"}
    | {"\\le", "\\leq", "\\ge", "\\geq", "\\lt", "\\gt", "\\ne", "\\neq", "\\in", "\\to", "\\quad", "\\qquad"}
)


@dataclass(frozen=True)
class ExpressionSize:
    """An upper bound on the size of an expression.

    Attributes:
        bits: of its largest number.
        terms: of its expansion.
        degree: of the expansion, in all symbols together.
        symbols: letters and roots, which do not combine into one number.
        value: the number, if the expression is a single one.
    """

    bits: float = 0.0
    terms: float = 1.0
    degree: float = 0.0
    symbols: frozenset[str] = frozenset()
    value: float | None = None

    @property
    def magnitude(self) -> float:
        """The largest numeric value it may have, with symbols taken as 1."""
        return self.value if self.value is not None else 2.0 ** min(self.bits, 1000.0)

    @property
    def small(self) -> bool:
        return self.bits <= MOST_BITS and self.terms <= MOST_TERMS and self.degree <= HIGHEST_DEGREE


class TooLarge(Exception):
    """The expression, or a part of it, exceeds a bound."""


def is_costly(latex: str) -> bool:
    """Whether symbolic evaluation could take minutes."""
    round_ones, braces = _depth(latex, "([", ")]"), _depth(latex, "{", "}")
    if round_ones > DEEPEST or braces > DEEPEST_BRACES:
        return True
    tokens = _TOKEN.findall(latex)
    if _ENDLESS.intersection(tokens):
        return True
    try:
        _Reader(tokens).whole()
    except TooLarge:
        return True
    return False


def _depth(latex: str, opening: str, closing: str) -> int:
    depth = deepest = 0
    for char in latex:
        depth += (char in opening) - (char in closing)
        deepest = max(deepest, depth)
    return deepest


class _Reader:
    """Reads tokens from left to right; unknown ones are factors of no size."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def whole(self) -> ExpressionSize:
        size = self._terms()
        while self._at < len(self._tokens):  # an unmatched closing bracket
            self._at += 1
            size = _sum([size, self._terms()])
        return size

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _terms(self) -> ExpressionSize:
        terms = [self._product()]
        while self._peek() in _BETWEEN_TERMS:
            self._at += 1
            terms.append(self._product())
        return _sum(terms)

    def _product(self) -> ExpressionSize:
        size: ExpressionSize | None = None
        while (token := self._peek()) and token not in _BETWEEN_TERMS and _kind(token) not in _CLOSE:
            factor = self._factor()
            size = factor if size is None else _product(size, factor)
        return size or ExpressionSize()

    def _factor(self) -> ExpressionSize:
        size = self._atom()
        while (token := self._peek()) in ("^", "_", "!"):
            self._at += 1
            if token == "_":
                self._atom()
            else:
                size = _checked(_factorial(size) if token == "!" else _power(size, self._exponent()))
        return size

    def _exponent(self) -> ExpressionSize:
        """An exponent including its own exponents: `9^9^9` is a tower."""
        size = self._atom()
        if self._peek() != "^":
            return size
        self._at += 1
        return _checked(_power(size, self._exponent()))

    def _atom(self) -> ExpressionSize:
        token = self._next()
        if _kind(token) in _OPEN:
            return self._group(token)
        if token in _WORDS and self._peek() == "{":
            self._atom()
            return ExpressionSize()
        if token[:1].isdigit():
            return _number(token)
        if token in ("\\frac", "\\dfrac", "\\tfrac", "\\cfrac"):
            return _fraction(self._argument(), self._argument())
        if token in ("\\binom", "\\dbinom", "\\tbinom"):
            return _checked(_binomial(self._argument(), self._argument()))
        if token == "\\sqrt":
            return self._root()
        if token == "-":
            return self._atom()
        return ExpressionSize(degree=1.0, symbols=frozenset({token})) if token.isalpha() else ExpressionSize()

    def _argument(self) -> ExpressionSize:
        """The argument of a command: a group, or one digit, as in `\frac12`."""
        token = self._peek()
        if token.isdigit() and len(token) > 1:
            self._tokens[self._at] = token[1:]
            return _number(token[0])
        return self._atom()

    def _group(self, opening: str) -> ExpressionSize:
        if opening == "\\left":
            self._at += 1
        size = self._terms()
        if self._next() == "\\right":
            self._at += 1
        return size

    def _root(self) -> ExpressionSize:
        index = self._atom() if self._peek() == "[" else ExpressionSize(value=2.0)
        start = self._at
        under = self._argument()
        name = "".join(self._tokens[start : self._at])
        symbols = under.symbols | {f"root of {name}"}
        return ExpressionSize(under.bits + index.bits, under.terms, under.degree + 1, symbols)


def _kind(token: str) -> str:
    """The kind of token; `\begin{pmatrix}` counts as a bracket."""
    return token.split("{")[0].strip() if token.startswith(("\\begin", "\\end")) else token


def _number(digits: str) -> ExpressionSize:
    value = float(digits) if len(digits) < 300 else inf
    return ExpressionSize(bits=log2(value + 1), value=value)


def _sum(terms: list[ExpressionSize]) -> ExpressionSize:
    if len(terms) == 1:
        return terms[0]
    symbols = frozenset[str]().union(*(t.symbols for t in terms))
    return ExpressionSize(
        max(t.bits for t in terms) + log2(len(terms)),
        sum(t.terms for t in terms) if symbols else 1.0,
        max(t.degree for t in terms),
        symbols,
    )


def _product(a: ExpressionSize, b: ExpressionSize) -> ExpressionSize:
    symbols = a.symbols | b.symbols
    degree = a.degree + b.degree
    return _checked(
        ExpressionSize(a.bits + b.bits, min(a.terms * b.terms, _monomials(symbols, degree)), degree, symbols)
    )


def _fraction(above: ExpressionSize, below: ExpressionSize) -> ExpressionSize:
    size = _product(above, below)
    if below.terms > 1 and size.degree > HIGHEST_DIVIDED:
        raise TooLarge
    return size


def _power(base: ExpressionSize, exponent: ExpressionSize) -> ExpressionSize:
    n = exponent.magnitude
    symbols = base.symbols | exponent.symbols
    if base.value is not None and exponent.value is not None and base.bits * n < SMALLEST_TOWER:
        return ExpressionSize(base.bits * n, value=base.value**n)
    if exponent.symbols:  # is not expanded
        return ExpressionSize(base.bits * n, base.terms, base.degree + exponent.degree, symbols)
    return ExpressionSize(base.bits * n, _expanded(base, n), base.degree * n, symbols)


def _expanded(base: ExpressionSize, n: float) -> float:
    """Number of terms of the n-th power of a sum."""
    if base.terms == 1:
        return 1.0
    if n > HIGHEST_DEGREE or base.terms > MOST_TERMS:
        return inf
    chosen = float(comb(int(n) + int(base.terms) - 1, int(base.terms) - 1))
    return min(chosen, _monomials(base.symbols, base.degree * n))


def _monomials(symbols: frozenset[str], degree: float) -> float:
    """Number of distinct products of this many symbols up to a degree."""
    if degree > HIGHEST_DEGREE or len(symbols) > 50:
        return inf
    return float(comb(int(degree) + len(symbols), len(symbols)))


def _factorial(of: ExpressionSize) -> ExpressionSize:
    n = of.magnitude
    return ExpressionSize(n * log2(n + 1), of.terms, of.degree, of.symbols)


def _binomial(n: ExpressionSize, k: ExpressionSize) -> ExpressionSize:
    return ExpressionSize(
        n.magnitude if not n.symbols else k.magnitude, 1.0, n.degree + k.degree, n.symbols | k.symbols
    )


def _checked(size: ExpressionSize) -> ExpressionSize:
    if not size.small:
        raise TooLarge
    return size
