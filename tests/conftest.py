"""Which tests run on which Pythons: those that take long run on few."""

import sys

import pytest

RUNNING = "{}.{}".format(*sys.version_info)
NAMED = {"oldest": "3.11", "newest": "3.15"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--any-python",
        action="store_true",
        help="run the tests for other Pythons on this one, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "pythons(*versions, why): runs on these only ('3.14', 'oldest', 'newest')",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--any-python"):
        return
    for mark in item.iter_markers("pythons"):
        versions = [NAMED.get(each, each) for each in mark.args]
        if RUNNING not in versions:
            pytest.skip(
                f"{mark.kwargs['why']}: runs on Python {' and '.join(versions)} only "
                "(--any-python runs it here, too)"
            )
