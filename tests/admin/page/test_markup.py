"""
Tests for L{tunnelkit.admin.page.markup}.
"""

from __future__ import annotations

from string import Template

from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.admin.page.markup import filled, joined

ITEM = Template('<li title="$title">$text</li>')


class FilledTests(SynchronousTestCase):
    """
    Text stays text, wherever it is put.
    """

    def test_text(self) -> None:
        """
        What a stranger writes neither makes an element nor leaves an attribute.
        """
        self.assertEqual(
            filled(ITEM, title="\"'><b>", text="<i>&amp;</i>"),
            '<li title="&quot;&#x27;&gt;&lt;b&gt;">&lt;i&gt;&amp;amp;&lt;/i&gt;</li>',
        )

    def test_markup(self) -> None:
        """
        A piece of our own HTML goes into another as it is.
        """
        item = filled(ITEM, title="", text="&")
        self.assertEqual(
            filled(Template("<ul>$items</ul>"), items=joined([item, item])),
            '<ul><li title="">&amp;</li><li title="">&amp;</li></ul>',
        )

    def test_putTogetherOtherwise(self) -> None:
        """
        HTML that text was added to is not trusted any more.
        """
        item = filled(ITEM, title="", text="")
        self.assertIn("&lt;li", filled(Template("$items"), items=item + "<script>"))

    def test_places(self) -> None:
        """
        Text that looks like a place to fill in is not filled in.
        """
        self.assertIn("$title", filled(ITEM, title="", text="$title"))

    def test_forgotten(self) -> None:
        """
        A place that nothing was given for is our mistake, and shows at once.
        """
        self.assertRaises(KeyError, filled, ITEM, title="")
