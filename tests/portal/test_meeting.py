"""
Tests of portals that meet at a rendezvous: over a network in memory with NATs of each
kind, and with a rendezvous that hangs or lies.
"""

from __future__ import annotations

import json
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from tests.logs import Log
from tests.portal.net import SECRET, Machine, Nat, NetCase, StunServer, Talker, at
from tunnelkit.portal.addresses.candidates import Candidates
from tunnelkit.portal.addresses.sockets import Address
from tunnelkit.portal.calling import PATIENCE, CallFailed, Rendezvous, Unknown
from tunnelkit.portal.far import FarPortal
from tunnelkit.portal.meeting import WITHDRAWING, Announcing, ByName
from tunnelkit.portal.near import NearPortal
from tunnelkit.portal.rendezvous.pages import RendezvousResource
from tunnelkit.portal.rendezvous.rates import Rates
from tunnelkit.portal.rendezvous.registry import Registry

URL = "http://rendezvous.example/"
LISTEN = ("10.0.1.2", 4000)
STUN = (at("203.0.113.1", 3478), at("203.0.113.2", 3478))
RELAY: Address = ("203.0.113.9", 20417)


class Relay:
    """
    A UDP tunnel: what comes at a public address goes to the far portal, as from the
    tunnel's own client there, and answers go back.
    """

    def __init__(self, case: MeetingCase) -> None:
        public = Machine(case.net, RELAY[0])
        self._case = case
        self._inside: dict[Address, Talker] = {}
        self._public = Talker(public, RELAY[1])
        self._public.datagramReceived = self._came  # type: ignore[method-assign]
        self.carried = 0

    def _came(self, datagram: bytes, addr: Address) -> None:
        inside = self._inside.get(addr)
        if inside is None:
            inside = self._inside[addr] = Talker(self._case.there)
            public = self._public

            def answered(datagram: bytes, addr: Address, to: Address = addr) -> None:
                public.say(datagram, to)

            inside.datagramReceived = answered  # type: ignore[method-assign]
        self.carried += 1
        inside.say(datagram, ("10.0.2.2", 7000))


class Present(Resource):
    """
    What the rendezvous is at present.
    """

    isLeaf = True

    def __init__(self, case: MeetingCase) -> None:
        super().__init__()
        self._case = case

    def render(self, request: Any) -> Any:
        """
        Have it answer.
        """
        return self._case.root.render(request)


class MeetingCase(NetCase):
    """
    A test with two portals behind NATs, STUN servers and a rendezvous.
    """

    def setUp(self) -> None:
        """
        Make what is public.
        """
        super().setUp()
        self.stun = [StunServer(Machine(self.net, each.host)) for each in STUN]
        self.registry = Registry(self.clock)
        self.addCleanup(self.registry.clear)
        self.root: IResource = RendezvousResource(
            self.registry, Rates(self.clock.seconds)
        )

    def lay(self, near: str, far: str) -> None:
        """
        Put a NAT before each side.
        """
        nats = [
            Nat(self.net, host, kind) if kind else None
            for host, kind in (("198.51.100.1", near), ("198.51.100.2", far))
        ]
        self.here = Machine(self.net, "10.0.1.2", nats[0])
        self.there = Machine(self.net, "10.0.2.2", nats[1])
        self.service = Talker(self.there, 9999, answers=True)

    def rendezvous(self, secret: bytes | None) -> Rendezvous:
        """
        Make what a portal calls the rendezvous with.
        """
        return Rendezvous(URL, StubTreq(Present(self)), self.clock, secret)

    def far(self, **given: Any) -> FarPortal:
        """
        Start a far portal.
        """
        given = {"serve": at("10.0.2.2", 9999), "name": "home", **given}
        settings = self.settings(bind=at("", 7000), stun=STUN, **given)
        portal = FarPortal(
            settings, self.net.around(self.there, outbound=lambda: ["10.0.2.2"])
        )
        portal.announcing = Announcing(
            self.rendezvous(settings.secret),
            "home",
            lambda: portal.candidates,
            portal.punch,
            self.clock,
        )
        return self.running(portal)  # type: ignore[no-any-return]

    def near(self, **given: Any) -> NearPortal:
        """
        Start a near portal.
        """
        leads = ((at(*LISTEN), "home"),)
        settings = self.settings(bind=at("", 6000), stun=STUN, leads=leads, **given)
        portal = NearPortal(
            settings, self.net.around(self.here, outbound=lambda: ["10.0.1.2"])
        )
        portal.finder = lambda name: ByName(
            self.rendezvous(settings.secret),
            name,
            lambda: portal.candidates,
            self.clock,
        )
        return self.running(portal)  # type: ignore[no-any-return]

    def talk(self, seconds: float) -> list[bytes]:
        """
        Have a sender say something each second.

        @return: what it heard.
        """
        sender = Talker(self.here)
        for _ in range(round(seconds)):
            sender.say(b"hello", LISTEN)
            self.net.run(1)
        return sender.heard


class NatTests(MeetingCase):
    """
    Portals behind NATs find each other.
    """

    def assertDirect(self, near: str, far: str) -> None:
        """
        Look for a direct path between two NATs, soon.
        """
        self.lay(near, far)
        self.far()
        portal = self.near()
        self.net.run(4)
        self.assertIn(b"HELLO", self.talk(1), f"{near} to {far}")
        (route,) = portal.routes()
        self.assertFalse(route.way.relayed)

    def assertNone(self, near: str, far: str) -> None:
        """
        See that there is no direct path, and that the relay is taken.
        """
        self.lay(near, far)
        relay = Relay(self)
        self.far(relay=at(*RELAY))
        portal = self.near(punching=5.0)
        self.net.run(4.9)
        self.assertEqual(relay.carried, 0)
        self.net.run(3)
        self.assertIn(b"HELLO", self.talk(1), f"{near} to {far}")
        (route,) = portal.routes()
        self.assertTrue(route.way.relayed)
        self.assertEqual(len(set(self.talk(60))), 1)

    def test_noNat(self) -> None:
        """
        Without any NAT the path is direct.
        """
        self.assertDirect("", "")

    def test_cones(self) -> None:
        """
        Between full cones the path is direct.
        """
        self.assertDirect("cone", "cone")

    def test_restricted(self) -> None:
        """
        Between port-restricted NATs the path is direct, as both punch.
        """
        self.assertDirect("restricted", "restricted")

    def test_nearSymmetric(self) -> None:
        """
        A symmetric NAT on the near side reaches a full cone.
        """
        self.assertDirect("symmetric", "cone")

    def test_farSymmetric(self) -> None:
        """
        A full cone on the near side learns from the punches of a far side behind a
        symmetric NAT where that is.
        """
        self.assertDirect("cone", "symmetric")

    def test_symmetricAndRestricted(self) -> None:
        """
        A symmetric NAT and a port-restricted one need the relay.
        """
        self.assertNone("symmetric", "restricted")

    def test_restrictedAndSymmetric(self) -> None:
        """
        So do these the other way round.
        """
        self.assertNone("restricted", "symmetric")

    def test_symmetrics(self) -> None:
        """
        So do two symmetric ones.
        """
        self.assertNone("symmetric", "symmetric")

    def test_movesBack(self) -> None:
        """
        When a direct path works after all, it is taken, and nothing is lost at that.
        """
        self.lay("restricted", "restricted")
        relay = Relay(self)
        blocked = {"198.51.100.1", "198.51.100.2"}
        self.net.lets = lambda source, to, packet: {source[0], to[0]} != blocked
        self.far(relay=at(*RELAY))
        portal = self.near(punching=5.0)
        self.net.run(7)
        (route,) = portal.routes()
        self.assertTrue(route.way.relayed)
        self.net.lets = lambda source, to, packet: True
        self.assertEqual(len(self.talk(45)), 45)
        self.assertFalse(route.way.relayed)
        carried = relay.carried
        self.talk(5)
        self.assertEqual(relay.carried, carried)

    def test_takesTheRelayLater(self) -> None:
        """
        When a direct path ends, the relay is taken.
        """
        self.lay("restricted", "restricted")
        Relay(self)
        self.far(relay=at(*RELAY))
        portal = self.near(punching=5.0)
        self.net.run(4)
        (route,) = portal.routes()
        self.assertFalse(route.way.relayed)
        blocked = {"198.51.100.1", "198.51.100.2"}
        self.net.lets = lambda source, to, packet: {source[0], to[0]} != blocked
        self.talk(30)
        self.assertTrue(route.way.relayed)
        self.assertEqual(len(self.talk(5)), 5)

    def test_forgetfulNat(self) -> None:
        """
        Keepalives come as seldom as the NAT allows: a path through NATs that forget
        after 40 seconds lasts, and after one loss nothing is lost any more.
        """
        self.lay("restricted", "restricted")
        for nat in (self.here.nat, self.there.nat):
            assert nat is not None
            nat.forgets = 40.0
        self.far()
        self.near()
        self.net.run(600)
        begun = len(self.net.seen)
        for _ in range(10):
            self.net.run(59)
            self.assertEqual(len(self.talk(1)), 1)
        stun = [p for s, to, p in self.net.seen[begun:] if "203.0" in s[0] + to[0]]
        self.assertLess((len(self.net.seen) - begun - len(stun)) / 600, 0.5)

    def test_compatible(self) -> None:
        """
        In the compatible mode portals meet in the same way.
        """
        self.lay("restricted", "restricted")
        self.far(secret=None)
        self.near(secret=None)
        self.net.run(3)
        self.assertIn(b"HELLO", self.talk(2))
        self.assertEqual(self.registry.listed(None), {"home": "198.51.100.2:50000"})

    def test_compatibleLate(self) -> None:
        """
        In the compatible mode a far portal tells no address before it knows the right
        one, and a near portal looks on until it has heard something from there.
        """
        self.lay("restricted", "restricted")
        self.registry.register("home", "10.0.2.2:7000", None)  # As others may say.
        portal = self.near(secret=None)
        self.net.run(2)
        (route,) = portal.routes()
        self.assertTrue(route.way.seeking)
        told: list[Candidates] = []
        self.net.lets = lambda source, to, packet: "203.0.113" not in to[0]
        far = self.far(secret=None)
        told.append(far.candidates)
        self.net.lets = lambda source, to, packet: True
        self.net.run(8)
        self.assertEqual(told, [Candidates()])
        self.assertEqual(route.way.path, ("198.51.100.2", 50000))
        self.assertIn(b"HELLO", self.talk(5))
        self.assertFalse(route.way.seeking)


class StunTests(MeetingCase):
    """
    A portal believes STUN servers, and nobody who only says to be one.
    """

    def test_spoofed(self) -> None:
        """
        Answers from elsewhere, of another transaction, of each length, or spoiled,
        teach nothing.
        """
        self.lay("", "")
        far = self.far()
        for length in range(21):
            self.stun[0].spoils = lambda answer, length=length: answer[:length]  # type: ignore[misc]
            self.net.run(2)
        self.stun[0].spoils = lambda answer: (
            answer[:8] + self.net.random(12) + answer[20:]
        )
        self.net.run(40)
        self.assertGreater(far.counts["wrong answers of STUN"], 5)
        self.assertEqual(far.own.addresses, (("10.0.2.2", 7000),))
        self.assertNotIn(STUN[0], [each for each in far.own._answers])

    def test_several(self) -> None:
        """
        One server is enough, and without any the portal goes on.
        """
        self.lay("cone", "cone")
        self.net.hosts.pop(STUN[0].host)
        far = self.far()
        self.net.run(1)
        self.assertEqual(far.own.addresses, (("198.51.100.2", 50000),))
        self.net.hosts.pop(STUN[1].host)
        self.net.run(60)
        self.assertEqual(far.own.addresses, ())
        self.assertGreater(far.counts["unanswered questions to STUN"], 2)


class Silent(Resource):
    """
    A rendezvous that hangs.
    """

    isLeaf = True

    def render(self, request: Any) -> int:
        """
        Never answer.
        """
        return NOT_DONE_YET


class Lying(Resource):
    """
    A rendezvous that says whatever a test wants.
    """

    isLeaf = True
    code = 200
    says = b""

    def render(self, request: Any) -> bytes:
        """
        Say it.
        """
        request.setResponseCode(self.code)
        return self.says


class CallingTests(SynchronousTestCase):
    """
    Whatever a rendezvous does, a portal has a sentence for it.
    """

    def setUp(self) -> None:
        """
        Make one that lies.
        """
        self.clock = Clock()
        self.lying = Lying()

    def calls(self, root: Any = None) -> Rendezvous:
        """
        Make what calls it.
        """
        return Rendezvous(URL, StubTreq(root or self.lying), self.clock, b"s" * 32)

    def failed(self, coroutine: Any, kind: type[Exception] = CallFailed) -> str:
        """
        Give the sentence of a call that fails.
        """
        failure = self.failureResultOf(Deferred.fromCoroutine(coroutine), kind)
        return str(failure.getErrorMessage())

    def test_hangs(self) -> None:
        """
        One that does not answer is given up after some seconds.
        """
        done = Deferred.fromCoroutine(self.calls(Silent()).find("home"))
        self.assertNoResult(done)
        self.clock.advance(PATIENCE)
        failure = self.failureResultOf(done, CallFailed)
        self.assertIn("does not answer in time", failure.getErrorMessage())

    def test_lies(self) -> None:
        """
        One that answers nonsense is not believed.
        """
        for says in (b"", b"null", b"[]", b"{", b"\xff", b"[" * 100000, b"<html>"):
            self.lying.says = says
            self.assertIn("something else", self.failed(self.calls().find("home")))
            done = Deferred.fromCoroutine(self.calls().waiting("home"))
            self.assertEqual(self.successResultOf(done), [])
        for where in ("nowhere", "example.org:1", "224.0.0.1:1", "", "1.2.3.4:0"):
            self.lying.says = json.dumps({"home": where}).encode()
            sentence = self.failed(self.calls().find("home"))
            self.assertIn("has no address of home", sentence)
        self.lying.says = json.dumps([1, None, "x", "192.0.2.1:1"]).encode()
        done = Deferred.fromCoroutine(self.calls().waiting("home"))
        expected = [Candidates((("192.0.2.1", 1),))]
        self.assertEqual(self.successResultOf(done), expected)

    def test_endless(self) -> None:
        """
        An answer without end is cut off.
        """
        self.lying.says = b"x" * (9 * 1024 * 1024)
        self.assertIn("without end", self.failed(self.calls().find("home")))

    def test_refuses(self) -> None:
        """
        A refusal comes with its reason, fit for a log.
        """
        self.lying.code, self.lying.says = 409, b"the name home\n\x1b is taken"
        register = self.calls().register("home", Candidates((("192.0.2.1", 1),)))
        sentence = self.failed(register)
        self.assertIn("status 409: the name home is taken", sentence)
        self.lying.code = 403
        self.assertIn("same secret?", self.failed(self.calls().waiting("home")))

    def test_unknown(self) -> None:
        """
        A name that nobody has is told from a failure.
        """
        self.lying.says = b"{}"
        self.failed(self.calls().find("home"), Unknown)

    def test_away(self) -> None:
        """
        One that cannot be reached is named as such.
        """

        class Away:
            def request(self, *args: Any, **options: Any) -> Deferred[Any]:
                raise OSError("Connection refused")

        rendezvous = Rendezvous(URL, Away(), self.clock, None)
        sentence = self.failed(rendezvous.find("home"))
        self.assertIn("cannot be asked: Connection refused", sentence)


class TroubleTests(MeetingCase):
    """
    Flows go on whatever the rendezvous does.
    """

    def setUp(self) -> None:
        """
        Lay a network.
        """
        super().setUp()
        self.lay("", "")
        self.log = Log(self)

    def test_hangsLater(self) -> None:
        """
        One that hangs once the path is there disturbs nothing, and the log says so
        once.
        """
        self.far()
        self.near()
        self.net.run(3)
        root = self.root
        self.root = Silent()
        self.assertEqual(len(self.talk(3)), 3)
        self.assertEqual(len(self.talk(9)), 9)
        (line,) = self.log.lines("warn")
        self.assertIn("does not answer in time; it is tried again and again", line)
        self.root = root
        self.assertEqual(len(self.talk(40)), 40)
        self.assertIn("the rendezvous answers again", self.log.lines("info"))

    def test_taken(self) -> None:
        """
        A far portal whose name is taken goes on trying, and its log says whose it is.
        """
        self.registry.register("home", "192.0.2.66:6", b"another's key")
        self.far()
        self.net.run(70)
        (line,) = self.log.lines("warn")
        self.assertIn("the name home is another portal's", line)
        self.net.run(60)
        self.near()
        self.net.run(3)
        self.assertIn(b"HELLO", self.talk(1))


class WithdrawingTests(MeetingCase):
    """
    A far portal that stops is not found any more.
    """

    def setUp(self) -> None:
        """
        Lay a network.
        """
        super().setUp()
        self.lay("", "")
        self.log = Log(self)

    def begun(self, **given: Any) -> FarPortal:
        """
        Have a far portal that is registered.
        """
        portal = self.far(**given)
        self.net.run(2)
        return portal

    def names(self, secret: bytes | None = SECRET) -> set[str]:
        """
        Give the names that the rendezvous shows.
        """
        found = Deferred.fromCoroutine(self.rendezvous(secret).listed("home"))
        listed = self.successResultOf(found)
        return set(listed)

    def stop(self, portal: FarPortal) -> Deferred[None]:
        """
        Stop a portal.
        """
        return portal.stopService() or succeed(None)

    def test_withdrawn(self) -> None:
        """
        Its name is gone when it is, and free for others, in both modes.
        """
        for secret in (SECRET, None):
            portal = self.begun(secret=secret)
            self.assertEqual(self.names(secret), {"home"})
            self.successResultOf(self.stop(portal))
            self.assertEqual(self.names(secret), set())
        self.registry.register("home", "192.0.2.66:6", b"another's key")
        self.registry.remove("home", b"another's key")

    def test_successor(self) -> None:
        """
        One that has come in its place, at another address, stays.
        """
        for secret in (SECRET, None):
            portal = self.begun(secret=secret)
            calls = self.rendezvous(secret)
            other = Candidates((("192.0.2.7", 7),))
            self.successResultOf(Deferred.fromCoroutine(calls.register("home", other)))
            self.successResultOf(self.stop(portal))
            found = Deferred.fromCoroutine(calls.find("home"))
            self.assertEqual(self.successResultOf(found), other)
            self.registry.clear()

    def test_hangs(self) -> None:
        """
        A rendezvous that does not answer is not waited for, and the log says so.
        """
        portal = self.begun()
        self.root = Silent()
        stopped = self.stop(portal)
        self.net.run(WITHDRAWING - 0.1)
        self.assertNoResult(stopped)
        self.net.run(0.2)
        self.successResultOf(stopped)
        self.assertEqual(
            self.log.lines("info")[-1],
            "the rendezvous does not answer in time: it was not told that home is gone,"
            " and forgets it by itself",
        )
        self.root = Lying()

    def test_refuses(self) -> None:
        """
        Nor is one that refuses a reason to go on.
        """
        portal = self.begun()
        lying = self.root = Lying()
        lying.code, lying.says = 409, b"never"
        self.successResultOf(self.stop(portal))
        self.assertIn("refuses, with status 409: never", self.log.lines("info")[-1])

    def test_never(self) -> None:
        """
        One that was never registered asks nothing.
        """
        noting = Noting(StubTreq(self.root))
        calls = Rendezvous(URL, noting, self.clock, SECRET)
        announcing = Announcing(calls, "home", Candidates, list, self.clock)
        announcing.second()
        self.successResultOf(announcing.stop())
        self.assertEqual(noting.asked, [("GET", "/home", "")])


class Noting:
    """
    A rendezvous that notes what it is asked, and answers as another does.
    """

    def __init__(self, treq: Any) -> None:
        self._treq = treq
        self.asked: list[tuple[str, str, str]] = []

    def request(self, method: str, url: str, data: bytes, headers: Any) -> Any:
        """
        Take a request.
        """
        self.asked.append((method, url.removeprefix(URL[:-1]), data.decode()))
        return self._treq.request(method, url, data=data, headers=headers)


class RecordedTests(MeetingCase):
    """
    At a rendezvous that is not ours our portals ask what its own programs ask.
    """

    def test_requests(self) -> None:
        """
        The requests are the recorded ones, as often: a far portal registers every ten
        seconds and looks each second who waits, and then punches each second.
        """
        self.lay("", "")
        noting = Noting(StubTreq(self.root))
        self.patch(
            self,
            "rendezvous",
            lambda secret: Rendezvous(URL, noting, self.clock, secret),
        )
        self.far(secret=None)
        self.net.run(20.5)
        asked = noting.asked
        self.assertEqual(
            [request for request in asked if request[0] == "POST"],
            [("POST", "/", f"home,{where}") for where in FOUND],
        )
        self.assertIn(len([r for r in asked if r == ("GET", "/home", "")]), (21, 22))
        asked.clear()
        self.near(secret=None)
        self.net.run(0.5)
        near = [request for request in asked if request[0] == "POST"]
        # The list may be asked for once more, while the own address is not known.
        self.assertEqual(near[0], ("POST", "/", ","))
        self.assertEqual(near[-1], ("POST", "/home", "10.0.1.2:6000"))
        self.net.run(5)
        punches = [s for s, to, p in self.net.seen if (to[1], p) == (6000, b"")]
        self.assertIn(len(punches), (5, 6, 7))
        self.net.run(100)
        begun = len(self.net.seen)
        self.net.run(3)
        self.assertNotIn(b"", [packet for _, _, packet in self.net.seen[begun:]])


FOUND = ("10.0.2.2:7000",) * 3
"""What a far portal says of itself: at the start, and after 10 and 20 seconds."""
