from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable

import pytest

from lrmctl.errors import NotFoundError, PluginError, RecipeError
from lrmctl.hooks.manager import GROUPS
from lrmctl.hooks.registry import Registry

Install = Callable[..., None]
Source = Callable[[str], str]


def test_every_built_in_plugin_loads() -> None:
    registry = Registry()
    assert registry.builtin.problems == ()
    own = set(GROUPS) - {"recipe"}  # shipped recipes are files that are found without the registry
    assert {e.group for e in registry.builtin.entries} == own
    assert all(e.summary for e in registry.builtin.entries)


def test_an_installed_plugin_is_found_by_name_and_made_with_options(install: Install, reward_source: Source) -> None:
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    registry = Registry()
    assert registry.make("reward", "brevity", limit=3).limit == 3
    entry = registry.find("reward", "brevity")
    assert (entry.distribution, entry.version, entry.builtin) == ("acme-rewards", "1.2", False)
    assert entry.summary == "1 for a short answer."
    assert entry in registry.names("reward")


def test_third_party_code_is_not_imported_for_a_built_in_name(install: Install) -> None:
    install("acme-loud", "acme_loud", "raise RuntimeError('imported')")
    Registry().find("reward", "format")
    assert "acme_loud" not in sys.modules


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import a_module_that_is_not_there", "ModuleNotFoundError"),
        ("raise SystemExit(7)", "SystemExit"),
        ("import os\nos._exit(3)", "it calls os._exit(3)"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(:\n", "SyntaxError"),
        ("from lrmctl import hookimpl\n@hookimpl\ndef lrmctl_rewards(registr): ...", "PluginValidationError"),
        ("from lrmctl import hookimpl\n@hookimpl\ndef lrmctl_rewrads(register): ...", "did you mean 'lrmctl_rewards'"),
        ("x = 1", "has no lrmctl hook"),
        (
            "from lrmctl import hookimpl\n@hookimpl\ndef lrmctl_rewards(register): register('Bad Name', dict)",
            "Bad Name",
        ),
        ("from lrmctl import hookimpl\n@hookimpl\ndef lrmctl_rewards(register): register('n', 3)", "not callable"),
        ("from lrmctl import hookimpl\n@hookimpl\ndef lrmctl_rewards(register): 1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_broken_plugin_is_a_problem_and_others_still_load(
    install: Install, reward_source: Source, source: str, told: str
) -> None:
    install("acme-broken", "acme_broken", source)
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    registry = Registry()
    assert registry.find("reward", "brevity").distribution == "acme-rewards"
    (problem,) = [p for p in registry.problems() if p.distribution == "acme-broken"]
    assert told in problem.error


def test_what_a_plugin_prints_or_patches_while_it_loads_reaches_no_command(
    install: Install, reward_source: Source, capsys: pytest.CaptureFixture[str]
) -> None:
    patch = "import json\nprint('loaded')\njson.dumps = lambda *a, **k: 'mine'\n"
    install("acme-loud-patch", "acme_loud_patch", patch)
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    assert Registry().find("reward", "brevity")
    assert json.dumps({"a": 1}) == '{"a": 1}'
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "loaded\n")


def test_ctrl_c_while_a_plugin_loads_is_the_users(install: Install) -> None:
    install("acme-slow", "acme_slow", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        Registry().find("reward", "brevity")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_plugin_that_fails_half_way_offers_nothing(install: Install) -> None:
    source = """
    from lrmctl import hookimpl
    @hookimpl
    def lrmctl_rewards(register):
        register("half", dict)
        raise RuntimeError("too late")
    """
    install("acme-half", "acme_half", source)
    with pytest.raises(NotFoundError, match="acme-half: RuntimeError: too late"):
        Registry().find("reward", "half")


def test_damaged_metadata_of_any_package_hides_no_plugin(install: Install, reward_source: Source) -> None:
    install("unrelated", "unrelated_mod", "", entry_points="[lrmctl]\nno equals sign here\n[[\n")
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    assert Registry().find("reward", "brevity").distribution == "acme-rewards"


def test_two_plugins_with_one_name_lose_it_and_both_are_named(install: Install, reward_source: Source) -> None:
    install("acme-one", "acme_one", reward_source("brevity"))
    install("acme-two", "acme_two", reward_source("brevity"))
    registry = Registry()
    with pytest.raises(PluginError, match=r"acme-one and acme-two\n.*'acme-(one|two):brevity' or 'acme-"):
        registry.make("reward", "brevity")
    assert {p.distribution for p in registry.problems()} == {"acme-one", "acme-two"}
    assert "brevity" not in {e.name for e in registry.names("reward")}


def test_a_built_in_name_cannot_be_taken(install: Install, reward_source: Source) -> None:
    install("acme-thief", "acme_thief", reward_source("format"))
    registry = Registry()
    assert registry.find("reward", "format").builtin
    (problem,) = registry.problems()
    assert problem.distribution == "acme-thief"
    assert "also registered by lrmctl" in problem.error


def test_an_unknown_name_gets_a_suggestion() -> None:
    with pytest.raises(NotFoundError, match="did you mean 'judged-safe'"):
        Registry().make("reward", "juged-safe")


def test_a_name_of_another_group_is_recognised() -> None:
    with pytest.raises(NotFoundError, match="there is a benchmark of this name"):
        Registry().find("judge", "lab-harmful")


def test_wrong_options_are_named_with_those_that_exist(install: Install, reward_source: Source) -> None:
    install("acme-rewards", "acme_mod", reward_source("brevity"))
    registry = Registry()
    with pytest.raises(RecipeError, match=r"no option 'limt'\n.*did you mean 'limit'\? it takes limit, strict"):
        registry.make("reward", "brevity", limt=3)
    with pytest.raises(RecipeError, match="limit must not be negative"):
        registry.make("reward", "brevity", limit=-1)


def test_a_missing_option_is_named(install: Install) -> None:
    source = """
    from lrmctl import hookimpl
    @hookimpl
    def lrmctl_thinking_formats(register):
        register("needy", lambda key: key)
    """
    install("acme-needy", "acme_needy", source)
    with pytest.raises(RecipeError, match="needs the option 'key'"):
        Registry().make("thinking-format", "needy")
    assert Registry().make("thinking-format", "needy", key="k") == "k"


def test_a_factory_that_breaks_is_blamed_by_distribution(install: Install) -> None:
    source = """
    from lrmctl import hookimpl
    def make():
        raise OSError("no licence server")
    @hookimpl
    def lrmctl_judges(register):
        register("costly", make)
    """
    install("acme-costly", "acme_costly", source)
    with pytest.raises(PluginError, match="acme-costly could not be made: OSError: no licence server"):
        Registry().make("judge", "costly")
