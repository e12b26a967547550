"""
Shares of one test.
"""

from __future__ import annotations

import sys

from tests.stage.case import FunctionalCase
from tests.stage.ports import freePort
from tests.stage.programs import Program


class SharingCase(FunctionalCase):
    """
    A test with a share.
    """

    async def share(self, target: int, *options: str) -> tuple[Program, int]:
        """
        Start a share.

        @return: the program, and where clients connect.
        """
        port = freePort()
        program = self.twistd("tunnelshare", f"-l{port}", f"-t{target}", *options)
        await program.says("sharing ")
        return program, port

    def tunnelkit(self, *words: str) -> Program:
        """
        Run a command of C{tunnelkit}.
        """
        code = "from tunnelkit.commands.console import main; main()"
        return self.program(sys.executable, "-uc", code, *words)
