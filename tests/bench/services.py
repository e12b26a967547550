# -*- test-case-name: tests.bench.test_services -*-
"""
The services that visitors reach, one way or another: nginx, iperf3, and an echo.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Final

from tests.bench.stage import Broken, Process, Stage, found
from tests.stage.ports import freePort

PACKAGES: Final = {
    "haproxy": "haproxy",
    "iperf3": "iperf3",
    "nginx": "nginx",
    "wrk": "wrk",
}
"""What is needed, and the packages of Debian and Ubuntu that have it."""

_NGINX: Final = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile {files};
pid nginx.pid;
error_log stderr error;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    # As many as there come: to begin anew each 1000 would be another measurement.
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        default_type text/plain;
        location / {{ return 200 "hello\\n"; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    """
    Where services are, directly or by some way.

    @ivar web: nginx.
    @ivar bulk: iperf3.
    @ivar echo: sends back what comes.
    @ivar source: sends without end.
    """

    web: int
    bulk: int
    echo: int
    source: int

    @classmethod
    def free(cls) -> Ports:
        """
        Give some that nobody listens on.
        """
        ports: list[int] = []
        while len(ports) < 4:
            if (port := freePort()) not in ports:
                ports.append(port)
        return cls(*ports)

    def pairs(self, other: Ports) -> Sequence[tuple[str, int, int]]:
        """
        Give name, our port and the other's port of each service.
        """
        names = ("web", "bulk", "echo", "source")
        return [*zip(names, astuple(self), astuple(other), strict=True)]


def missing() -> str:
    """
    Say which programs are not there, and what to install; empty where all are.
    """
    absent = [name for name in PACKAGES if found(name) is None]
    if not absent:
        return ""
    packages = " ".join(PACKAGES[name] for name in absent)
    are = "are" if len(absent) > 1 else "is"
    return (
        f"{' and '.join(absent)} {are} missing "
        f"(Debian, Ubuntu: apt-get install {packages})"
    )


def program(name: str) -> str:
    """
    Give the path of a program.

    @raise Broken: it is missing.
    """
    path = found(name)
    if path is None:
        raise Broken(f"{name} is missing")
    return path


def startNginx(stage: Stage, port: int, files: int) -> None:
    """
    Start nginx, and wait until it serves.

    @param files: how many files it may have open.
    @raise Broken: it is missing.
    """
    folder = stage.folderIn()
    conf = folder / "nginx.conf"
    conf.write_text(_NGINX.format(port=port, files=files, connections=files // 2))
    # Without -e it would open the log that it was built with.
    command = (program("nginx"), "-p", folder, "-c", conf, "-e", "stderr")
    stage.start("nginx", *command).listens(port)


class Services:
    """
    The services of a run.

    @ivar ports: where they are.
    """

    def __init__(self, stage: Stage, files: int) -> None:
        """
        Start them.

        @param files: how many files each may have open.
        """
        self.ports = Ports.free()
        self._stage = stage
        startNginx(stage, self.ports.web, files)
        echo, source = str(self.ports.echo), str(self.ports.source)
        started = stage.start(
            "echo", sys.executable, "-m", "tests.bench.echo", echo, source
        )
        started.listens(self.ports.echo)
        started.listens(self.ports.source)
        self._iperf = self._startIperf()

    def renew(self) -> None:
        """
        Start anew what a load that was broken off may have left in disorder.
        """
        self._stage.stop(self._iperf)
        self._iperf = self._startIperf()

    def _startIperf(self) -> Process:
        command = ("-s", "-B", "127.0.0.1", "-p", str(self.ports.bulk), "--forceflush")
        iperf = self._stage.start("iperf3 -s", program("iperf3"), *command)
        # Not tried with a connection, which it would take for a test.
        iperf.until(lambda: "Server listening" in iperf.output, "it listens")
        return iperf
