"""Which tests are asked of which Python: most of all, what takes long of few."""

import sys

import pytest

RUNNING = "{}.{}".format(*sys.version_info)
NAMED = {"oldest": "3.11", "newest": "3.15"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "pythons(*versions, why): asked of these only ('3.14', 'oldest', 'newest'); the rest skip",
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    for mark in item.iter_markers("pythons"):
        versions = [NAMED.get(each, each) for each in mark.args]
        if RUNNING not in versions:
            pytest.skip(f"{mark.kwargs['why']}: asked of Python {' and '.join(versions)} only")
