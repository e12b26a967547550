"""
Tests of tunnelkit.commands.
"""
