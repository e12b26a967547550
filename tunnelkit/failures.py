"""
What ends a program, in words for the person who started it.
"""

from __future__ import annotations


class StartFailed(Exception):
    """
    A service cannot start, and trying again would not mend that.  The text is one
    sentence that says why and what to do; C{commands/} ends the process with it.
    """
