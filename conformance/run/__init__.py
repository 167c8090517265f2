"""One certification: the request, the pytest run, and the files."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.run.request import Request
    from conformance.run.session import Session

REQUEST: "pytest.StashKey[Request]" = pytest.StashKey()
"""Where pytest's configuration has the request, if it does not come from pytest's options."""

SESSION: "pytest.StashKey[Session]" = pytest.StashKey()
"""Where pytest's configuration has the session, if something is certified."""
