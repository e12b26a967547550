# -*- test-case-name: tests.control.test_login -*-
"""
What both sides write of SCRAM (RFC 5802, 7677), and how a login is bound.
"""

from __future__ import annotations

from typing import Final

BOUND: Final = "SCRAM-SHA-256-PLUS"
UNBOUND: Final = "SCRAM-SHA-256"
ENDPOINT: Final = "tls-server-end-point"
"""The binding, by its name in RFC 5929."""

BASE64: Final = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
"""A regular expression."""
