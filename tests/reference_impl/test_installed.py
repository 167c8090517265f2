"""What is certified is also what a program gets from asyncio after `install()`.

On the newest Python, a part of it in memory; on every Python that tox finds, what is about upgrades
to TLS, on both loops, because it is there that a loop takes the protocol for asyncio's. `tox -m
installed` certifies all of it on all networks.
"""

import pytest
from campaigns._shared.certifying import certificate_of

FORMS = {
    "memory": ("--network=memory", "--clause=[sw]*"),
    "asyncio": ("--network=tcp", "--clause=start_tls.*"),
    "uvloop": ("--network=tcp", "--loop=uvloop", "--clause=start_tls.*"),
}


WHOLE = pytest.mark.pythons("newest", why="it takes long; the others show what Pythons differ in")


@pytest.mark.parametrize("form", [pytest.param("memory", marks=WHOLE), "asyncio", "uvloop"])
def test_the_installed_form_conforms(form: str) -> None:
    if form == "uvloop":
        pytest.importorskip("uvloop")
    certificate = certificate_of("campaigns.installed.form", "--spec=3.15", *FORMS[form])
    failed = [each["id"] for each in certificate["clauses"] if each["verdict"] == "failed"]
    assert failed == []
    assert certificate["summary"]["passed"] > 10
