# -*- test-case-name: tests.commands.options.test_saying -*-
"""
Saying: what a command shows on standard output.
"""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """
    Print a text.  Who reads it may have had enough before its end, as C{head} has, and
    then nothing is wrong.
    """
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # What is left in its buffer would fail once more at the end of the process.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
