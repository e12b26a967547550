"""
Tests for L{tunnelkit.wire.token}.
"""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tunnelkit.wire.token import LEAST_BITS, Token, isUserName

SECRET = "k5xw2zjq7m4ryd3tnbhg6cfa2sopiveu"


class TokenTests(SynchronousTestCase):
    """
    A token is one word that holds who one is and how one proves it.
    """

    def test_parse(self) -> None:
        """
        A token read from a file works with the line end behind it.
        """
        token = Token.parse(f"  tk1_anna.b-2_{SECRET}\r\n")
        self.assertEqual(token, Token("anna.b-2", SECRET))
        self.assertEqual(str(token), f"tk1_anna.b-2_{SECRET}")

    def test_new(self) -> None:
        """
        A new token holds all the random bytes it was given, in letters that can be
        typed.
        """
        asked: list[int] = []

        def random(count: int) -> bytes:
            asked.append(count)
            return bytes(range(count))

        token = Token.new("default", random)
        self.assertEqual(asked, [20])
        self.assertEqual(token.secret, "aaaqeayeaudaocajbifqydiob4ibceqt")
        self.assertEqual(Token.parse(str(token)), token)

    def test_strongEnough(self) -> None:
        """
        What the program makes by itself is never refused as weak.
        """
        self.assertEqual(Token.new("default", os.urandom).strength(), 160)

    def test_notAToken(self) -> None:
        """
        Something else, such as a password, is refused with the form of a token.
        """
        for text in ("", SECRET, "tk2_default_abc", "TK1_default_abc", "tk1"):
            error = self.assertRaises(ValueError, Token.parse, text)
            self.assertIn("form tk1_USER_SECRET", str(error))

    def test_secretIsNotQuoted(self) -> None:
        """
        Whatever is wrong with a token, no part of it gets into the log.
        """
        for text in (
            SECRET,
            f"tk1_{SECRET}",
            f"tk1__{SECRET}",
            f"tk1_Default_{SECRET}",
            f"tk1_{SECRET}_default!",
            f"tk1_default_{SECRET}!",
            f"tk1_default_{SECRET} tk1_default_{SECRET}",
            f"tk1_default_{SECRET}_",
            f"tk1_default_{SECRET * 9}",
            f"tk1_{'u' * 65}_{SECRET}",
            "tk1_default_",
        ):
            error = self.assertRaises(ValueError, Token.parse, text)
            self.assertNotIn(SECRET, str(error))
            self.assertIn("token", str(error))

    def test_reprHidesTheSecret(self) -> None:
        """
        A token in a traceback or a log event shows its user only.
        """
        shown = repr(Token("default", SECRET))
        self.assertNotIn(SECRET, shown)
        self.assertIn("default", shown)

    def test_badParts(self) -> None:
        """
        A token that could not be read back cannot be made.
        """
        self.assertRaises(ValueError, Token, "default", "a_b")
        self.assertRaises(ValueError, Token, "a_b", SECRET)
        self.assertRaises(ValueError, Token.new, "Default", os.urandom)

    @given(st.text(max_size=40))
    def test_anyText(self, text: str) -> None:
        """
        Whatever is given as a token is one or is refused in words.
        """
        for typed in (text, f"tk1_{text}", f"tk1_default_{text}"):
            try:
                token = Token.parse(typed)
            except ValueError as e:
                self.assertIn("token", str(e))
            else:
                self.assertEqual(str(token), typed.strip())


class StrengthTests(SynchronousTestCase):
    """
    A secret that can be guessed is told from one that cannot.
    """

    def strength(self, secret: str) -> int:
        """
        Give the strength of a secret.
        """
        return Token("default", secret).strength()

    def test_hexadecimal(self) -> None:
        """
        128 random bits in hexadecimal are just enough, in either case.
        """
        secret = "0123456789abcdef" * 2
        self.assertEqual(self.strength(secret), LEAST_BITS)
        self.assertEqual(self.strength(secret.upper()), LEAST_BITS)
        self.assertLess(self.strength(secret[1:]), LEAST_BITS)

    def test_digits(self) -> None:
        """
        Digits alone hold less, so more are needed.
        """
        self.assertLess(self.strength("0123456789" * 4), LEAST_BITS)
        self.assertGreaterEqual(self.strength("0123456789" * 5), LEAST_BITS)

    def test_letters(self) -> None:
        """
        26 letters and digits are enough, 25 are not.
        """
        self.assertLess(self.strength(SECRET[:25]), LEAST_BITS)
        self.assertGreaterEqual(self.strength(SECRET[:26]), LEAST_BITS)

    def test_pattern(self) -> None:
        """
        A few characters again and again are no secret, however many there are.
        """
        self.assertEqual(self.strength("change" * 40), 0)
        self.assertEqual(self.strength("x" * 256), 0)


class UserNameTests(SynchronousTestCase):
    """
    Names that could be mistaken for each other are not names.
    """

    def test_names(self) -> None:
        """
        Lower-case letters, digits, dots and dashes make a name.
        """
        for name in ("default", "a", "anna.b-2", "x" * 64):
            self.assertTrue(isUserName(name), name)

    def test_notNames(self) -> None:
        """
        Nothing that SASL would fold into another name is one.
        """
        for name in (
            "",
            "Default",
            "x" * 65,
            "a_b",
            "a b",
            "default\n",
            "\uff44efault",
        ):
            self.assertFalse(isUserName(name), name)
