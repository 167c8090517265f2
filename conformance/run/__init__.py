"""One certification: the request, the pytest run, and the files."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conformance.run.request import Order
    from conformance.run.session import Session

ORDER: "pytest.StashKey[Order]" = pytest.StashKey()
"""Where pytest's configuration has the order, if it was not given in pytest's options."""

SESSION: "pytest.StashKey[Session]" = pytest.StashKey()
"""Where pytest's configuration has the session, if something is certified."""
