"""
What a server keeps from one start to the next: its folder, and the files in it.
"""
