"""What every command line does alike: errors that a message explains, and Ctrl-C."""

from __future__ import annotations

import logging
from collections.abc import Callable

from mutualnet3d.errors import MutualNetError
from mutualnet3d.logs import visible

DONE, FAILED, STOPPED = 0, 1, 130


def guarded(body: Callable[[], object], stopped: str = "stopped") -> int:
    """Run ``body``; the exit status: 0 done, 1 an error that the message explains, 130 stopped by Ctrl-C.

    Errors of this package and of files are logged as one line. Others are faults of the program: they pass.

    Args:
        stopped: what to say after Ctrl-C, for example how to go on.
    """
    logger = logging.getLogger("mutualnet3d")
    try:
        body()
    except (MutualNetError, OSError) as error:
        logger.error("%s: %s", type(error).__name__, visible(" ".join(str(error).split("\n"))))
        return FAILED
    except KeyboardInterrupt:
        logger.warning(stopped)
        return STOPPED
    return DONE
