"""Writes what the documentation takes from the code: `python tools/write_reference.py` (`make reference`).

docs/cli-reference.md and docs/names.md are written whole; in docs/plugins.md the parts between
`<!-- from the code: NAME -->` and `<!-- end -->` are replaced. A test runs this and compares, so that none can rot.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

ROOT = Path(__file__).resolve().parents[1]
CLI_PAGE = ROOT / "docs" / "cli-reference.md"
NAMES_PAGE = ROOT / "docs" / "names.md"
PLUGINS_PAGE = ROOT / "docs" / "plugins.md"
_PART = re.compile(r"(<!-- from the code: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

CLI_HEAD = """# Commands

Every command with its arguments and options, as `lrmctl COMMAND --help` shows them. Written from the code by
`make reference`.
"""
NAMES_HEAD = """# Names

Everything that is built in and has a name: {n} names. Plugins add more ([plugins](plugins.md)); `lrmctl plugin list`
shows what is registered on this machine, and by whom. Written from the code by `make reference`.
"""
NAMES_SECTIONS = {
    "reward": (
        "Rewards",
        "`use:` in `reward.components`; options: `lrmctl reward show NAME` ([catalogue](reward-catalogue.md)).",
    ),
    "judge": ("Judges", "`judge:`, `--judge`; options and question: `lrmctl judge show NAME` ([judges](judges.md))."),
    "benchmark": ("Benchmarks", "`evaluation.safety`, `evaluation.over_refusal` ([benchmarks](benchmarks.md))."),
    "reasoning-task": ("Reasoning tasks", "`evaluation.reasoning` ([reasoning](reasoning.md))."),
    "source": ("Training data", "`prompts:` of RL, `data.sources` of SFT and preferences ([rows](rows.md))."),
    "backend": ("Training backends", "`backend.name` ([training](training.md))."),
    "launcher": ("Launchers", "`launch.via`, `lrmctl train --launch NAME` ([clusters](clusters.md))."),
    "thinking-format": ("Thinking formats", "`thinking: {format: NAME}`, `--thinking NAME` ([thinking](thinking.md))."),
    "lexicon": ("Word lists of reflection", "`analysis.lexicons` ([analysis](analysis.md))."),
    "doctor-check": ("Checks of the machine", "What `lrmctl doctor` looks at."),
    "tracker": ("Trackers", "`trackers:` ([training](training.md))."),
    "analysis": ("Analyses", "`analysis.also` ([analysis](analysis.md))."),
    "engine": ("Engines", "`engine:` of evaluations, builds and judges ([engines](engines.md))."),
}


def pages() -> dict[Path, str]:
    """The pages as they should be, by file."""
    parts = {"hooks": hooks_reference, "bases": bases_reference}
    plugins = PLUGINS_PAGE.read_text(encoding="utf-8")
    plugins = _PART.sub(lambda found: f"{found[1]}\n{parts[found[2]]()}\n{found[3]}", plugins)
    return {CLI_PAGE: cli_reference(), NAMES_PAGE: names_reference(), PLUGINS_PAGE: plugins}


def cli_reference() -> str:
    """docs/cli-reference.md."""
    import typer

    from lrmctl.cli.app import app

    found = list(_commands(typer.main.get_command(app), ()))
    contents = [f"| [`lrmctl {name}`](#lrmctl-{name.replace(' ', '-')}) | {_first(c)} |" for name, c in found]
    table = "\n".join(["| command | what it does |", "|---|---|", *contents])
    return "\n".join([CLI_HEAD, table, "", *("\n".join(_command(name, command)) for name, command in found)])


def _commands(command: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    below = getattr(command, "commands", None)
    if below is None:
        if not command.hidden:
            yield " ".join(words), command
        return
    for name in below:
        yield from _commands(below[name], (*words, name))


def _first(command: Any) -> str:
    return inspect.cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ")


def _command(name: str, command: Any) -> list[str]:
    context = command.make_context(f"lrmctl {name}", [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    about = re.sub(r"(?<!\n)\n(?!\n)", " ", inspect.cleandoc(command.help or ""))
    rows = [_parameter(param, context) for param in command.params if not getattr(param, "hidden", False)]
    shown = [row for row in rows if row]
    return [
        f"## lrmctl {name}",
        "",
        about,
        "",
        f"```text\nlrmctl {name} {usage}\n```",
        "",
        *(["| argument or option | what it is | default |", "|---|---|---|", *shown, ""] if shown else []),
        *(["```text", *command.examples, "```", ""] if getattr(command, "examples", None) else []),
    ]


def _parameter(param: Any, context: Any) -> str:
    record = param.get_help_record(context)
    if record is None:
        return ""
    names, said = record
    described, _, extra = said.rpartition("  [") if said.endswith("]") else (said, "", "")
    if not extra and said.startswith("["):
        described, extra = "", said[1:]
    facts = [fact.strip() for fact in extra.rstrip("]").split(";")] if extra else []
    default = next((fact.removeprefix("default:").strip() for fact in facts if fact.startswith("default:")), "")
    rest = [fact for fact in facts if not fact.startswith("default:") and fact != "required"]
    what = f"{described} ({'; '.join(rest)})" if rest else described
    needed = "required" if "required" in facts else f"`{default}`" if default else ""
    return f"| `{_cell(names)}` | {_cell(what)} | {_cell(needed)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def names_reference() -> str:
    """docs/names.md."""
    from lrmctl.hooks import registry

    builtin = registry._default.builtin.entries
    lines = [NAMES_HEAD.format(n=len(builtin))]
    for group, (title, about) in NAMES_SECTIONS.items():
        lines += [f"## {title}", "", about, ""]
        lines += ["| name | what it is |", "|---|---|"]
        entries = sorted((e for e in builtin if e.group == group), key=lambda e: e.name)
        lines += [*(f"| `{e.name}` | {_cell(e.summary)} |" for e in entries), ""]
    return "\n".join(lines)


def hooks_reference() -> str:
    """The part of docs/plugins.md with every hook: signature, what its factory makes, an example."""
    from lrmctl.hooks import specs
    from lrmctl.hooks.manager import GROUPS

    return "\n".join(_hook(name, group, getattr(specs, name)) for group, name in GROUPS.items())


def _hook(name: str, group: str, hook: Any) -> str:
    about, example = split_example(hook)
    return "\n".join(
        [
            f"### {name}",
            "",
            f"```text\n{name}{inspect.signature(hook)}\n```".replace("'", ""),
            "",
            f"{about} What it registers is {'an' if group[0] in 'aeiou' else 'a'} `{group}` in `lrmctl plugin list`.",
            "",
            f"```python\n{example}\n```",
            "",
        ]
    )


def split_example(hook: Any) -> tuple[str, str]:
    """A hook's docstring as one line, and its example."""
    about, _, example = inspect.cleandoc(hook.__doc__).partition("\n\nExample:\n")
    return " ".join(about.split()), textwrap.dedent(example).strip()


def bases_reference() -> str:
    """The part of docs/plugins.md with the members of every base class and their defaults."""
    from lrmctl.analysis import Analysis, Figure, Findings
    from lrmctl.backends import Backend
    from lrmctl.backends.launch import JobState, Launcher, LaunchJob
    from lrmctl.hooks import bases

    shown = [(bases.Reward, "lrmctl.hooks"), (bases.GroupReward, "lrmctl.hooks"), (bases.Judge, "lrmctl.hooks")]
    shown += [(bases.Benchmark, "lrmctl.hooks"), (bases.Source, "lrmctl.hooks"), (bases.Tracker, "lrmctl.hooks")]
    shown += [(Backend, "lrmctl.backends")]
    shown += [(cls, "lrmctl.backends.launch") for cls in (Launcher, LaunchJob, JobState)]
    shown += [(cls, "lrmctl.analysis") for cls in (Analysis, Findings, Figure)]
    return "\n".join(_base(cls, home) for cls, home in shown)


def _base(cls: type, home: str) -> str:
    about, told = _docstring(cls)
    told |= {name: text for base in cls.__mro__[1:] for name, text in _docstring(base)[1].items() if name not in told}
    lines = [f"### {home}.{cls.__name__}", "", about, "", "| member | default | what it is |", "|---|---|---|"]
    own = {name: None for name in (*vars(cls).get("__annotations__", {}), *vars(cls)) if not name.startswith("_")}
    hints = get_type_hints(cls)
    for name in own:
        value = inspect.getattr_static(cls, name, inspect.Parameter.empty)
        if isinstance(value, property):
            lines.append(f"| `{name}` | as described | {_cell(_first_part(value))} |")
        elif isinstance(value, classmethod):
            continue
        elif inspect.isfunction(value):
            needed = "**required**" if getattr(value, "__isabstractmethod__", False) else "as described"
            lines.append(f"| `{name}{_signature(value)}` | {needed} | {_cell(_first_part(value))} |")
        else:
            default = "**required**" if value is inspect.Parameter.empty else f"`{_cell(repr(value))}`"
            lines.append(f"| `{name}: {_cell(_type(hints[name]))}` | {default} | {_cell(told.get(name, ''))} |")
    return "\n".join([*lines, ""])


def _first_part(member: Any) -> str:
    """What a member is, without the sections about arguments, results and errors."""
    return re.split(r"\n\n(?:Args|Returns|Raises):", inspect.cleandoc(member.__doc__ or ""))[0]


def _signature(method: Any) -> str:
    return _cell(str(inspect.signature(method)).replace("'", "").replace("(self, ", "(").replace("(self)", "()"))


def _type(hint: Any) -> str:
    return (
        hint.__name__ if isinstance(hint, type) and not hasattr(hint, "__args__") else str(hint).replace("typing.", "")
    )


def _docstring(cls: type) -> tuple[str, dict[str, str]]:
    """What a class is, and its attributes by name."""
    about, _, below = inspect.cleandoc(cls.__doc__ or "").partition("\n\nAttributes:\n")
    told: dict[str, str] = {}
    names: list[str] = []
    for line in textwrap.dedent(below.partition("\n\n")[0]).splitlines():
        if found := re.match(r"(\w+(?:, \w+)*): (.*)", line):
            names = found[1].split(", ")
            told |= dict.fromkeys(names, found[2])
        else:
            told |= {name: f"{told[name]} {line.strip()}" for name in names}
    return " ".join(about.split()), told


def main() -> None:
    for file, text in pages().items():
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
