"""The simulated network that the code which asks is on, for the tests of libraries."""

import asyncio

import fakes


def network_here() -> fakes.Network:
    return asyncio.get_running_loop().network  # type: ignore[attr-defined,no-any-return]


def link_to(host: str) -> fakes.Link:
    return network_here().link("localhost", host)
