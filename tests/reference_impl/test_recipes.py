"""The programs of docs/recipes.md print what it says, on asyncio's streams and on ours."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
RECIPES = [
    (title, *re.findall(r"```(?:python|text)\n(.*?)```", text, flags=re.DOTALL))
    for title, text in re.findall(
        r"^## (.*?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.M
    )
]
INSTALLED = "import reference_impl\nreference_impl.install()\n"


def test_every_recipe_is_a_program_and_what_it_prints() -> None:
    assert {len(recipe) for recipe in RECIPES} == {3}


@pytest.mark.parametrize("installed", ["", INSTALLED], ids=["asyncio", "reference_impl"])
@pytest.mark.parametrize(("title", "program", "output"), RECIPES, ids=[each[0] for each in RECIPES])
def test_a_recipe(title: Any, program: Any, output: Any, installed: Any) -> None:
    process = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", installed + program],
        input="hello\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    # A busy machine may be slow, and debug mode says so.
    assert [line for line in process.stderr.splitlines() if " took " not in line] == []
    assert process.stdout == output
