"""The files of prompts: read strictly, and found wherever the package is installed."""

import os
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from mixpanel_mcp.prompts import PromptFileError, read_prompts
from mixpanel_mcp.prompts.front_matter import read_prompt
from mixpanel_mcp.resources.guides import guide
from mixpanel_mcp.resources.kinds import GUIDES

ROOT = Path(__file__).parents[1]

GOOD = """\
---
title: Weekly review
description: What happened this week.
arguments:
  event:
    description: Name of the event.
    required: true
  period:
    description: Days to look at.
    required: false
---

Call `list_pipelines()`.

---
A rule is no front matter.
"""


def test_a_good_file_is_read_as_it_stands() -> None:
    prompt = read_prompt("weekly.md", GOOD)
    assert (prompt.name, prompt.title) == ("weekly", "Weekly review")
    assert [(argument.name, argument.required) for argument in prompt.arguments] == [
        ("event", True),
        ("period", False),
    ]
    assert prompt.body.startswith("Call `list_pipelines()`.")
    assert prompt.body.endswith("no front matter.")
    assert prompt.tools == {"list_pipelines"}
    assert "`mp_list_pipelines()`" in prompt.instruction("mp_")


def test_arguments_are_optional() -> None:
    prompt = read_prompt("plain.md", "---\ntitle: A\ndescription: B.\n---\nDo it.")
    assert prompt.arguments == []


@pytest.mark.parametrize("path", sorted((ROOT / "prompts").iterdir()), ids=lambda path: path.stem)
def test_our_reader_reads_what_yaml_reads(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    meant: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    prompt = read_prompt(path.name, text)
    assert meant == {
        "title": prompt.title,
        "description": prompt.description,
        "arguments": {
            argument.name: {"description": argument.description, "required": argument.required}
            for argument in prompt.arguments
        },
    }


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("---\ntitle", "title", "1: front matter has to begin with ---"),
        (GOOD, "", "1: front matter has to begin with ---"),
        (GOOD[GOOD.index("---\n\nCall") :], "", "10: front matter has to end with ---"),
        ("title: Weekly review\n", "", "1: title missing"),
        ("Weekly review", "", "2: has to be `key: value`, without tabs and trailing spaces"),
        (": Weekly review", ":", "2: title has no value"),
        ("title: ", "titel: ", "2: titel is not known here; known: title, description"),
        ("Weekly review", "A\ntitle: B", "3: title stands here a second time"),
        ("Weekly review", "Weekly: review", "2: the value of title is not plain text"),
        ("Weekly review", '"Weekly"', "2: the value of title is not plain text"),
        ("Weekly review", "Weekly # review", "2: the value of title is not plain text"),
        ("Weekly review", "Weekly review ", "2: has to be `key: value`"),
        ("title", "\ttitle", "2: has to be `key: value`"),
        ("title", "\ntitle", "2: has to be `key: value`"),
        ("arguments:", "arguments: none", "4: arguments has its values on the lines below"),
        ("arguments:\n", "", "4: 2 spaces before event belong to nothing above"),
        ("arguments:\n", "arguments:\narguments:\n", "5: arguments stands here a second time"),
        ("  event:\n", "", "5: 4 spaces before description belong to nothing above"),
        ("  period:", "   period:", "8: 3 spaces before period belong to nothing above"),
        ("  period:", "  event:", "8: argument event stands here a second time"),
        ("  event:", "  event: x", "5: argument event has its values on the lines below"),
        ("  event:", "  Event:", "5: has to be `key: value`"),
        ("required: true", "required: yes", "7: required is true or false"),
        ("    required: true\n", "", "5: required missing"),
        ("    required: true", "    default: x", "7: default is not known here; known: desc"),
        ("    required: false\n", "title: B\n", "10: title has to stand before arguments"),
        (GOOD[GOOD.index("  event") : GOOD.index("---\n\n")], "", "4: arguments has nothing below"),
        (GOOD[GOOD.index("\nCall") :], "", "11: there is no instruction below the front matter"),
    ],
)
def test_a_fault_is_named_with_file_and_line(old: str, new: str, fault: str) -> None:
    with pytest.raises(PromptFileError) as caught:
        read_prompt("weekly.md", GOOD.replace(old, new, 1))
    assert str(caught.value).startswith(f"weekly.md:{fault}")


def _python(*arguments: str, folder: Path, path: str) -> str:
    """Run an interpreter that sees the libraries, and of our package only what `path` says."""
    ran = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-S", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{path}{os.pathsep}{sysconfig.get_path('purelib')}"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ran.stdout.strip()


@pytest.mark.parametrize("how", ["build_wheel", "build_editable"])
def test_an_installation_finds_its_prompts_and_guides(tmp_path: Path, how: str) -> None:
    """The wheel holds them, as it knows no checkout; an editable install reads the checkout's."""
    build = f"import sys; from hatchling.build import {how}; print({how}(sys.argv[1]))"
    name = _python("-c", build, str(tmp_path), folder=ROOT, path="").splitlines()[-1]
    place = tmp_path / "place"
    with zipfile.ZipFile(tmp_path / name) as wheel:
        wheel.extractall(place)
    pointers = [path.read_text(encoding="utf-8").strip() for path in place.glob("*.pth")]
    assert bool(pointers) is (how == "build_editable")

    show = (
        "from mixpanel_mcp.prompts import files, read_prompts\n"
        "from mixpanel_mcp.resources.guides import guide\n"
        "from mixpanel_mcp.resources.kinds import GUIDES\n"
        "print(files.__file__, *(prompt.name for prompt in read_prompts()))\n"
        "print(*(len(guide(kind)) for kind in GUIDES))"
    )
    shown = _python("-c", show, folder=tmp_path, path=pointers[0] if pointers else str(place))
    of_prompts, of_guides = shown.splitlines()
    module, *names = of_prompts.split()
    assert Path(module).is_relative_to(pointers[0] if pointers else place)
    assert names == [prompt.name for prompt in read_prompts()]
    assert of_guides.split() == [str(len(guide(kind))) for kind in GUIDES]


def test_a_source_distribution_has_what_its_wheel_is_made_of() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    targets = build["build"]["targets"]
    assert targets["wheel"]["force-include"].keys() <= set(targets["sdist"]["include"])
