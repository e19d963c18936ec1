"""Conditions on traces, such as `thinking=unsafe and answer=safe`, of `lrmctl traces` and of the viewer's search.

`FIELD OP VALUE`, joined by `and`, `or`, `not` and parentheses. OP is `=`, `!=`, `<`, `<=`, `>`, `>=`, `~` (contains).
`none` is the value of a field that a trace does not have. The page's script reads the same language (`page/query.js`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, NoReturn, get_args

from lrmctl._util.suggest import close_to
from lrmctl.errors import LrmctlError
from lrmctl.types import FinishReason, Kind, Outcome, ThinkingState
from lrmctl.viewer.records import Record

_WORDS_OF_PARTS = (*get_args(Outcome), "not judged")


class QueryField(NamedTuple):
    """A field of the language.

    Attributes:
        column: its name in a record's index; empty for `text`.
        values: all values that a word can have; empty if they are not fixed.
        numeric: whether it is a number.
        texts: keys of the record's texts that `~` looks in; the word itself if empty.
        about: what it is.
    """

    column: str
    values: tuple[str, ...] = ()
    numeric: bool = False
    texts: tuple[str, ...] = ()
    about: str = ""


FIELDS: Mapping[str, QueryField] = {
    "thinking": QueryField("thought", _WORDS_OF_PARTS, texts=("thinking",), about="verdict of the thinking; its text"),
    "answer": QueryField("said", _WORDS_OF_PARTS, texts=("answer",), about="verdict of the answer; its text"),
    "outcome": QueryField(
        "result",
        (*get_args(Outcome), "correct", "incorrect", "not graded", "scored"),
        about="of the whole trace, or whether it is correct",
    ),
    "refused": QueryField("refused", ("yes", "no"), about="whether the answer refuses"),
    "kind": QueryField("kind", get_args(Kind), about="of the prompt"),
    "set": QueryField("set", about="benchmark"),
    "prompt": QueryField("prompt", texts=("prompt",), about="its id; its text"),
    "text": QueryField("", texts=("prompt", "thinking", "answer"), about="any of the three texts"),
    "state": QueryField("state", get_args(ThinkingState), about="of the thinking"),
    "finish": QueryField("finish", get_args(FinishReason), about="why generation ended"),
    "judge": QueryField("judge", about="of the answer"),
    "run": QueryField("run", about="arm"),
    "phase": QueryField("phase", about="evaluation, or of the training: train, eval"),
    "group": QueryField("group", about="rollouts whose rewards are compared"),
    **{
        name: QueryField(name, numeric=True, about=about)
        for name, about in {
            "temperature": "of sampling",
            "sample": "from 0",
            "thinking_tokens": "tokens",
            "answer_tokens": "tokens",
            "characters": "of thinking and answer",
            "entropy": "mean, in nats; analysed traces",
            "reflections": "words of the lexicon",
            "reward": "of a rollout",
            "step": "of the training, where known",
        }.items()
    },
}
"""Every field, with what `=` and `~` look at."""
NONE = "none"
_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_TOKEN = re.compile(
    r"""\s*(?:([()])|(<=|>=|!=|==?|[<>~])|"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s()<>=!~"']+))""", re.S
)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.I | re.A)
_OF_FLAG = {0: "no", 1: "yes"}
_Test = Callable[[Record], bool]


@dataclass(frozen=True)
class Query:
    """A parsed condition.

    Attributes:
        text: as it was written.
        matches: whether a record fulfils it.
        asked: fields whose values are not fixed, each with a value that a trace is asked to have.
    """

    text: str
    matches: _Test
    asked: tuple[tuple[str, str], ...] = ()


class _Token(NamedTuple):
    kind: str
    word: str
    at: int


def parse_query(text: str) -> Query:
    """Parse a condition; every trace matches an empty one.

    Raises:
        LrmctlError: it is not one, or names a field or value that does not exist.
    """
    if not text.strip():
        return Query(text, lambda _: True)
    parser = _Parser(text, list(_tokens(text)))
    found = parser.any_of()
    if parser.next().kind != "end":
        parser.fail(f"'and' or 'or' is missing before {parser.next().word!r}")
    return Query(text, found, tuple(parser.asked))


def value_of(record: Record, name: str) -> str | float:
    """A trace's value of a field; `NONE` if it has none."""
    found = record.index[FIELDS[name].column]
    if name == "refused":
        return _OF_FLAG.get(found, NONE)
    value: str | float = NONE if found in (None, "") else found
    return value


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            _refuse(text, f"cannot be read from {text[at:].strip()[:20]!r} on", "put a value with signs in quotes")
        sign, op, double, single, word = found.groups()
        quoted = double if double is not None else single
        if quoted is not None:
            yield _Token("quoted", re.sub(r"\\(.)", r"\1", quoted), at)
        else:
            yield _Token("sign" if sign else "op" if op else "word", sign or op or word, at)
        at = found.end()


class _Parser:
    def __init__(self, text: str, tokens: list[_Token]) -> None:
        self.text, self.tokens, self.at = text, [*tokens, _Token("end", "the end", len(text))], 0
        self.asked: list[tuple[str, str]] = []

    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *words: str, kind: str = "word") -> str:
        """The next token in lower case if it is one of these, else nothing."""
        token = self.next()
        if token.kind != kind or token.word.lower() not in words:
            return ""
        self.at += 1
        return token.word.lower()

    def any_of(self) -> _Test:
        parts = [self.all_of()]
        while self.take("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else lambda record: any(part(record) for part in parts)

    def all_of(self) -> _Test:
        parts = [self.one()]
        while self.take("and"):
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else lambda record: all(part(record) for part in parts)

    def one(self) -> _Test:
        if self.take("not"):
            negated = self.one()
            return lambda record: not negated(record)
        if self.take("(", kind="sign"):
            inside = self.any_of()
            if not self.take(")", kind="sign"):
                self.fail("')' is missing")
            return inside
        return self.comparison()

    def comparison(self) -> _Test:
        token = self.next()
        if token.kind == "quoted":  # words alone are looked for in every text
            self.at += 1
            return partial(_contains, FIELDS["text"], token.word.lower())
        if token.kind != "word":
            self.fail(f"a field is missing before {token.word!r}")
        self.at += 1
        name = self.field(token.word)
        op = self.take("=", "==", "!=", "~", *_COMPARED, kind="op")
        if not op:
            self.fail(f"{name} needs one of = != < <= > >= ~ and a value")
        value = self.next()
        if value.kind not in ("word", "quoted"):
            self.fail(f"a value is missing after {name}{op}")
        self.at += 1
        return self.test(name, op, value.word)

    def field(self, word: str) -> str:
        name = {"result": "outcome", "id": "prompt"}.get(word.lower(), word.lower().replace("-", "_"))
        if name not in FIELDS:
            self.fail(f"there is no field {word!r}", f"fields: {', '.join(FIELDS)}", close_to(name, FIELDS))
        return name

    def test(self, name: str, op: str, word: str) -> _Test:
        field = FIELDS[name]
        if op == "~":
            return partial(_contains, field, word.lower())
        if not field.column:
            self.fail(f"{name} is looked in with ~", f'{name}~"words"')
        if op in _COMPARED:
            if not field.numeric:
                self.fail(f"{name} is not a number and has no {op}", f"numbers: {_numbers()}")
            compare, bound = _COMPARED[op], self.number(name, word)
            return lambda record: (found := record.index[field.column]) is not None and compare(found, bound)
        wanted: str | float = NONE if word.lower() == NONE else self.wanted(name, word)
        if op != "!=" and isinstance(wanted, str) and wanted != NONE and not field.values:
            self.asked.append((name, wanted))
        return lambda record: (value_of(record, name) == wanted) is (op != "!=")

    def wanted(self, name: str, word: str) -> str | float:
        field = FIELDS[name]
        if field.numeric:
            return self.number(name, word)
        if not field.values:
            return word
        value = re.sub("[-_]", " ", word.lower())
        if value not in field.values:
            known = f"values of {name}: {', '.join((*field.values, NONE))}"
            self.fail(f"{name} is never {word!r}", known, close_to(value, field.values))
        return value

    def number(self, name: str, word: str) -> float:
        if not _NUMBER.fullmatch(word.strip()):
            self.fail(f"{name} is a number, not {word!r}", f"for example {name}>0.5")
        return float(word)

    def fail(self, what: str, fix: str = "", meant: str | None = None) -> NoReturn:
        _refuse(self.text, what, " ".join(filter(None, (f"did you mean {meant!r}?" if meant else "", fix))))


def _refuse(text: str, what: str, fix: str = "") -> NoReturn:
    raise LrmctlError(what, repr(text), fix or 'for example: thinking=unsafe and (answer=safe or answer~"gate")')


def _numbers() -> str:
    return ", ".join(name for name, field in FIELDS.items() if field.numeric)


def _contains(field: QueryField, words: str, record: Record) -> bool:
    if not field.texts:
        return words in str(record.index[field.column] or "").lower()
    return any(words in _plain(record.text[key]).lower() for key in field.texts)


def _plain(text: Any) -> str:
    """A text; of a prompt of several messages, their words."""
    return text if isinstance(text, str) else "\n".join(content for _, content in text)
