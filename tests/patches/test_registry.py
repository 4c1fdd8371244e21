"""The registry: states and reasons, idempotence, undoing, the switch, the plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from types import ModuleType

import pytest
from common import ROOT
from packaging.version import Version

from mineru_accel import patches
from mineru_accel.errors import UsageError
from mineru_accel.patches import NotApplicable, NotNeeded, Patch, State, Undo, plugin, registry
from mineru_accel.patches.docs_page import render


class Target:
    def speak(self) -> str:
        return "original"


class Child(Target):
    pass


def make(name: str = "toy", install=None, check=lambda: "toys can be patched", **fields) -> Patch:
    def default(undo: Undo) -> str:
        undo.setattr(Target, "speak", lambda self: "patched")
        return "speaks otherwise"

    record = {"package": "pytest", "versions": ">=1", **dict.fromkeys(("replaces", "why", "how"), "x"), **fields}
    return Patch(name, **record, upstream="x", remove_when="x", check=check, install=install or default)


@pytest.fixture
def toys(monkeypatch):
    def register(*toys: Patch) -> None:
        monkeypatch.setattr(registry, "KNOWN", {toy.name: toy for toy in toys})

    yield register
    for name in reversed(registry.names()):
        registry.revert(name)


def test_applied_twice_is_applied_once_and_reverted_at_once(toys):
    calls = []

    def install(undo: Undo) -> str:
        calls.append(1)
        undo.setattr(Target, "speak", lambda self: "patched")
        return "done"

    toys(make(install=install))
    first, second = patches.apply("toy"), patches.apply("toy")
    assert first == second and first.state is State.ACTIVE and str(first) == "active: done"
    assert len(calls) == 1 and Target().speak() == "patched"
    assert [s.state for s in patches.status()] == [State.ACTIVE]
    assert patches.revert("toy").state is State.OFF
    assert Target().speak() == "original"
    assert patches.revert("toy").state is State.OFF
    assert patches.apply("toy").state is State.ACTIVE and Target().speak() == "patched"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (NotNeeded("it is fast already"), "not needed, because it is fast already"),
        (NotApplicable("there is no GPU"), "not applicable, because there is no GPU"),
        (AttributeError("no attribute\n 'x'"), "failed, because AttributeError: no attribute 'x'"),
    ],
)
@pytest.mark.parametrize("where", ["check", "install"])
def test_a_patch_that_cannot_apply_says_why_and_changes_nothing(toys, error, line, where):
    def install(undo: Undo) -> str:
        undo.setattr(Target, "speak", lambda self: "half done")
        undo.setattr(Child, "speak", lambda self: "half done")
        raise error

    def check() -> str:
        raise error

    toys(make(check=check) if where == "check" else make(install=install))
    assert str(patches.apply("toy")) == line
    assert [str(s) for s in patches.status()] == [line]
    assert Target().speak() == Child().speak() == "original"
    assert "speak" not in vars(Child)


def test_versions(toys):
    toys(make("old", versions="<1"), make("absent", package="no-such-package"))
    assert str(patches.apply("old")).startswith("not applicable, because it is for pytest <1, not ")
    assert str(patches.apply("absent")) == "not applicable, because no-such-package is not installed"


def test_undo_restores_inherited_attributes_items_and_order():
    undo, log = Undo(), []
    things = {"a": 1}
    undo.setattr(Child, "speak", lambda self: "child")
    undo.setitem(things, "a", 2)
    undo.setitem(things, "b", 3)
    undo.call(lambda: log.append(Child().speak()))
    undo.run()
    assert log == ["child"] and "speak" not in vars(Child) and things == {"a": 1}


def test_reverting_one_of_two_that_wrap_the_same(toys):
    def wrapping(word: str):
        def install(undo: Undo) -> str:
            before = Target.speak
            undo.setattr(Target, "speak", lambda self: f"{word} {before(self)}")
            return word

        return install

    toys(make("a", install=wrapping("a")), make("b", install=wrapping("b")))
    patches.apply("a"), patches.apply("b")
    assert Target().speak() == "b a original"
    patches.revert("a")
    assert Target().speak() == "b original" and [s.state for s in patches.status()] == [State.OFF, State.ACTIVE]
    patches.revert("b")
    assert Target().speak() == "original"


def test_the_switch(toys, monkeypatch):
    toys(make("a"), make("b", auto=False), make("c"))
    assert patches.selected() == ()
    for value, wanted in {
        "none": (),
        "": (),
        "auto": ("a", "c"),
        "auto,b": ("a", "b", "c"),
        "c, a": ("a", "c"),
    }.items():
        monkeypatch.setenv("MINERU_ACCEL_PATCHES", value)
        assert patches.selected() == wanted, value
    with pytest.raises(UsageError, match="no patch is called 'z'; there are a, b, c"):
        patches.selected("a,z")
    assert patches.apply_selected(value="z") == []
    with pytest.raises(UsageError):
        patches.apply("z")


def test_the_plugin_does_nothing_unless_switched_on(toys, monkeypatch):
    toys(make(package="vllm", versions=">=0"))
    monkeypatch.setattr(registry.accelerator, "version_of", lambda package: Version("1"))
    plugin.register()
    assert Target().speak() == "original"
    monkeypatch.setenv("MINERU_ACCEL_PATCHES", "auto")
    plugin.register()
    plugin.register()
    assert Target().speak() == "patched"


def test_the_plugin_never_raises(monkeypatch):
    monkeypatch.setenv("MINERU_ACCEL_PATCHES", "auto")
    monkeypatch.setitem(sys.modules, "mineru_accel.patches.registry", ModuleType("empty"))
    plugin.register()


def test_vllm_finds_the_plugin():
    found = [e for e in entry_points(group="vllm.general_plugins") if e.name == "mineru_accel"]
    assert [e.value for e in found] == ["mineru_accel.patches.plugin:register"]


def test_every_patch_is_documented():
    for name in patches.names():
        patch = patches.find(name)
        assert patch.name == name
        for field in ("replaces", "why", "how", "upstream", "remove_when"):
            assert len(getattr(patch, field)) > 10, (name, field)


def test_the_documentation_is_that_of_the_records():
    page = (ROOT / "docs" / "patches.md").read_text(encoding="utf-8")
    assert page == render(), "run: python -m mineru_accel.patches.docs_page > docs/patches.md"


def test_a_section_without_figures_says_so():
    page = render([make("toy", measured="")])
    assert "## toy\n\n- **Package:** pytest `>=1`\n" in page and "- **Measured:** Nothing.\n" in page


def test_looking_at_the_patches_imports_none_of_the_packages():
    code = (
        "import sys; from mineru_accel import patches; print([str(s) for s in patches.status()]);"
        "assert not {'vllm', 'mineru_vl_utils', 'doclayout_yolo'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"MINERU_ACCEL_PATCHES": "auto"})
