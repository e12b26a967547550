"""
Tests for L{tests.bench.picture}.
"""

from __future__ import annotations

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from tests.bench.figures import PLAIN
from tests.bench.picture import END, WIDTH, picture
from tests.bench.results import Named, Results
from tests.bench.sample import sample

_SVG = "{http://www.w3.org/2000/svg}"


def drawn(results: Results) -> ElementTree.Element:
    """
    Draw results, and read the picture.
    """
    return ElementTree.fromstring(picture(results, "a <small> machine & its date"))


def texts(root: ElementTree.Element) -> list[str]:
    """
    Give what stands in a picture.
    """
    return [node.text or "" for node in root.iter(f"{_SVG}text")]


class PictureTests(SynchronousTestCase):
    """
    The picture shows what the table says.
    """

    def test_bars(self) -> None:
        """
        There is a bar for each figure that is compared, with its ratio.
        """
        said = texts(drawn(sample()))
        for text in ("keep-alive requests", "1.40 x", "2.02 x", "less is better"):
            self.assertIn(text, said)
        self.assertNotIn("idle server", said)

    def test_caption(self) -> None:
        """
        It says for which machine it holds, whatever that is called.
        """
        self.assertIn("a <small> machine & its date", texts(drawn(sample())))

    def test_background(self) -> None:
        """
        It can be read on a dark page: it brings a light ground of its own.
        """
        root = drawn(sample())
        ground = next(root.iter(f"{_SVG}rect"))
        self.assertEqual(ground.get("width"), root.get("width"))
        self.assertEqual(ground.get("height"), root.get("height"))
        self.assertIn("fill", ground.attrib)

    def test_beyond(self) -> None:
        """
        A bar that would leave the picture is cut off, and its number says so.
        """
        results = sample()
        for turn in range(3):
            results.add(turn, PLAIN, {"roundtrip": 5000.0})
        root = drawn(results)
        self.assertIn("50 x →", texts(root))
        for bar in root.iter(f"{_SVG}rect"):
            right = float(bar.get("x", "0")) + float(bar.get("width", "0"))
            self.assertLessEqual(right, WIDTH)

    def test_longer(self) -> None:
        """
        A bar is as long as its ratio is large.
        """
        results = Results([Named("haproxy", "HAProxy"), Named(PLAIN, "ours")], 1)
        results.add(0, "haproxy", {"requests": 10.0, "connections": 10.0})
        results.add(0, PLAIN, {"requests": 10.0, "connections": 20.0})
        *_, one, two = (
            float(bar.get("width", "0")) for bar in drawn(results).iter(f"{_SVG}rect")
        )
        self.assertAlmostEqual(2 * one, two, 0)
        self.assertLess(2.0, END)

    def test_nothing(self) -> None:
        """
        A run without HAProxy gives a picture without bars, and no failure.
        """
        self.assertIn("HAProxy = 1", texts(drawn(Results([], 1))))
