"""Which tests are asked of which Python: most of all, what takes long of few."""

import sys

import pytest

RUNNING = "{}.{}".format(*sys.version_info)
NAMED = {"oldest": "3.11", "newest": "3.15"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--any-python",
        action="store_true",
        help="run what is asked of other Pythons on this one, too",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "pythons(*versions, why): asked of these only ('3.14', 'oldest', 'newest'); the rest skip",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.config.getoption("--any-python"):
        return
    for mark in item.iter_markers("pythons"):
        versions = [NAMED.get(each, each) for each in mark.args]
        if RUNNING not in versions:
            pytest.skip(
                f"{mark.kwargs['why']}: asked of Python {' and '.join(versions)} only "
                "(--any-python runs it)"
            )
