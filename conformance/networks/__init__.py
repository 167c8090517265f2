"""The networks that clauses run on, by the names that `--network` takes."""

from conformance.errors import CannotRun
from conformance.networks.adapter import PairNetwork, ReaderNetwork
from conformance.networks.base import Network
from conformance.networks.kernel import TcpNetwork, UnixNetwork
from conformance.networks.memory import MemoryNetwork, TlsOverMemory
from conformance.networks.tls import TlsOverTcp

NETWORKS: dict[str, type[Network]] = {
    each.name: each for each in (MemoryNetwork, TlsOverMemory, TcpNetwork, UnixNetwork, TlsOverTcp)
}
"""Those that an implementation can be certified on, by name."""

ADAPTER_NETWORKS: tuple[type[Network], ...] = (ReaderNetwork, PairNetwork)
"""The networks of adapters' ends: nobody can choose another."""


def network_names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list, in the order of `NETWORKS`.

    Raises:
        CannotRun: one of them is no network, or there is none.
    """
    wanted = {name.strip() for name in text.split(",") if name.strip()}
    unknown = wanted - NETWORKS.keys()
    if unknown or not wanted:
        named = ", ".join(sorted(unknown)) or "''"
        raise CannotRun(f"unknown network {named}: give some of {','.join(NETWORKS)}")
    return tuple(name for name in NETWORKS if name in wanted)
