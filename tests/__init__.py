"""
Tests of tunnelkit, in the same tree as the code.
"""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says more of the machine than of what is tested.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
