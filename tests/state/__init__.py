"""
Tests of tunnelkit.state.
"""
