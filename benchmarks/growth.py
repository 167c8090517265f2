"""How time and memory grow: with lines, frames, pieces and connections, over four orders of size.

    python benchmarks/growth.py [--rounds 5] [--largest 1.0] [--json FILE] [--svg FILE]

Nanoseconds of processor time for each byte of lines, frames and pieces of each size, which are fed
to a reader by hand while it reads; and the bytes that an idle connection holds (its reader, writer
and protocol, after a message of 64 bytes was read) for each number of connections. Every curve has
to be flat, or to fall.
"""

from __future__ import annotations

import asyncio
import asyncio.streams
import gc
import json
import platform
import statistics
import tracemalloc
from pathlib import Path
from time import process_time
from typing import Any

import click

import reference_impl

IMPLEMENTATIONS: dict[str, Any] = {"asyncio": asyncio.streams, "reference_impl": reference_impl}
MTU = 1448  # bytes; of pieces where their size is not what is looked at
LIMIT = 2**30

Curves = dict[str, dict[str, dict[int, float]]]  # of a title, of an implementation, by size


async def fed(streams: Any, data: bytes, piece: int, read: Any) -> float:
    """Return the nanoseconds per byte that it takes to feed and read *data* meanwhile."""
    pieces = [data[start : start + piece] for start in range(0, len(data), piece)]
    reader = streams.StreamReader(limit=LIMIT)

    async def reading() -> None:
        while await read(reader):
            pass

    task = asyncio.ensure_future(reading())
    await asyncio.sleep(0)
    start = process_time()
    for number, one in enumerate(pieces):
        reader.feed_data(one)
        if number % 64 == 0:
            await asyncio.sleep(0)
    reader.feed_eof()
    await asyncio.wait([task])
    seconds = process_time() - start
    if not task.cancelled():
        task.exception()  # the last frame is missing
    return seconds / len(data) * 1e9


async def lines(streams: Any, size: int) -> float:
    """Read lines of *size* bytes."""
    count = max(1, 1_000_000 // size)
    return await fed(
        streams, (b"x" * (size - 1) + b"\n") * count, MTU, lambda reader: reader.readline()
    )


async def frames(streams: Any, size: int) -> float:
    """Read frames of *size* bytes."""
    count = max(1, 1_000_000 // size)
    return await fed(streams, bytes(size * count), MTU, lambda reader: reader.readexactly(size))


async def pieces(streams: Any, size: int) -> float:
    """Read lines of 100 bytes that arrive in pieces of *size* bytes."""
    data = (b"x" * 99 + b"\n") * 10_000
    return await fed(streams, data[: max(20_000 * size, 100)], size, lambda r: r.readline())


class Transport(asyncio.Transport):
    """Enough of a transport for a connection that is idle."""

    def is_closing(self) -> bool:
        """Say so, for nobody to warn that it is not."""
        return True


async def idle(streams: Any, count: int) -> float:
    """Return the bytes that each of *count* idle connections holds."""
    loop = asyncio.get_running_loop()
    gc.collect()
    tracemalloc.start()
    held = []
    transport = Transport()
    for _ in range(count):
        reader = streams.StreamReader(loop=loop)
        protocol = streams.StreamReaderProtocol(reader, loop=loop)
        protocol.connection_made(transport)
        held.append((reader, streams.StreamWriter(transport, protocol, reader, loop)))
        protocol.data_received(bytes(64))
        await reader.readexactly(64)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / len(held)


SIZES = (64, 640, 6_400, 64_000, 640_000)
MEASURED = {
    "line, ns/byte": (lines, SIZES),
    "frame, ns/byte": (frames, SIZES),
    "piece, ns/byte": (pieces, (1, 10, 100, 1_000, 10_000)),
    "connections, bytes for each": (idle, (1, 10, 100, 1_000, 10_000)),
}


def draw(file: Path, curves: Curves) -> None:
    """Draw the curves."""
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    mpl.rcParams |= {"svg.hashsalt": "growth", "font.size": 8, "svg.fonttype": "none"}
    drawing, panels = plt.subplots(1, len(curves), figsize=(11, 2.8), layout="constrained")
    for panel, (title, each) in zip(panels, curves.items(), strict=True):
        for name, values in each.items():
            panel.plot(list(values), list(values.values()), "o-", markersize=3, label=name)
        panel.set_title(title)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.grid(alpha=0.3)
    panels[0].legend()
    drawing.savefig(file, metadata={"Date": None})


@click.command()
@click.option("--rounds", default=5, show_default=True)
@click.option(
    "--largest",
    default=1.0,
    show_default=True,
    help="The largest size, as a share of the usual one.",
)
@click.option(
    "--json", "file", type=click.Path(path_type=Path), help="Write the figures to this file."
)
@click.option("--svg", type=click.Path(path_type=Path), help="Draw the curves into this file.")
def main(rounds: int, largest: float, file: Path | None, svg: Path | None) -> None:
    """Measure how the costs grow, and print tables."""
    print(f"Python {platform.python_version()}, medians of {rounds} rounds")
    curves: Curves = {}
    for title, (measure, sizes) in MEASURED.items():
        curves[title] = {name: {} for name in IMPLEMENTATIONS}
        print(f"\n{title:30}" + "".join(f"{name:>16}" for name in IMPLEMENTATIONS))
        for size in sizes:
            if size > largest * sizes[-1] and size > sizes[0]:
                continue
            values: dict[str, list[float]] = {name: [] for name in IMPLEMENTATIONS}
            for _ in range(1 if measure is idle else rounds):
                for name, streams in IMPLEMENTATIONS.items():
                    values[name].append(asyncio.run(measure(streams, size)))
            for name in IMPLEMENTATIONS:
                curves[title][name][size] = statistics.median(values[name])
            row = "".join(f"{curves[title][name][size]:16,.1f}" for name in IMPLEMENTATIONS)
            print(f"{size:<30,}{row}", flush=True)
    if file:
        file.write_text(json.dumps(curves, indent=2) + "\n", encoding="utf-8")
    if svg:
        draw(svg, curves)


if __name__ == "__main__":
    main()
