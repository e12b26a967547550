"""
How Sphinx builds these pages.
"""

from __future__ import annotations

import tunnelkit

project = "tunnelkit"
author = "the tunnelkit developers"
copyright = f"2026, {author}"
version = release = tunnelkit.__version__

html_theme = "alabaster"
