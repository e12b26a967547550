"""
Tests of tunnelkit, in the same tree as the code.
"""
