"""Siege an implementation of the streams: random programs, until one goes wrong.

python tests/reference_impl/siege [OPTIONS]
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
import time
from typing import Any

from play import Play, Result
from program import program
from worlds import Simulated


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="siege", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--streams", default="reference_impl")
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--keep-going", action="store_true")
    options = parser.parse_args(arguments)
    streams = importlib.import_module(options.streams)
    world = Simulated()
    world.contexts
    gc.collect()
    gc.freeze()
    began = time.process_time()
    wrong = 0
    totals: dict[str, int] = dict.fromkeys(("connections", "steps", "bytes", "cancels"), 0)
    for seed in range(options.first, options.first + options.seeds):
        result = Play(program(seed), streams, world, [] if options.trace else None).run()
        for name in totals:
            totals[name] += getattr(result, name)
        if result.trace:
            print("\n".join(result.trace))
        if result.failures:
            wrong += 1
            print(f"seed {seed}:")
            for failure in result.failures[:5]:
                print("   ", failure)
            if not options.keep_going:
                print(f"replay: python tests/reference_impl/siege --first {seed} --seeds 1 --trace")
                break
    seconds = time.process_time() - began
    print(
        f"{seed - options.first + 1} seeds, {wrong} wrong, {totals}, {seconds:.1f} s of processor time"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
