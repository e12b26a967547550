"""
Tests of the page for a person.
"""
