"""
Where portals find each other: names, and the pages by which they are asked for.
"""
