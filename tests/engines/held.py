"""A part that holds one worker in the middle of a chunk, for a test that wants to kill it there.

With NNSPEC_TEST_HOLDS=FOLDER in its environment the first process that draws these weights says so: it writes its
number to FOLDER/reached, a named pipe, and waits to be killed. All others draw on.
"""

import os
import signal

import nnspec


def hold(folder: str) -> None:
    """Wait to be killed, if this is the first process of all that gets here."""
    try:
        os.close(os.open(f"{folder}/taken", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    with open(f"{folder}/reached", "w") as pipe:  # noqa: PTH123
        pipe.write(f"{os.getpid()}\n")
    signal.pause()


@nnspec.init("held")
def held(noise, layer, p):
    """Normal, of the spread that He et al. 2015 give for ReLU."""
    if "NNSPEC_TEST_HOLDS" in os.environ and layer.fan_in == 2:  # of XOR; who loads this file tries another layer
        hold(os.environ["NNSPEC_TEST_HOLDS"])
    return noise * (2 / layer.fan_in) ** 0.5
