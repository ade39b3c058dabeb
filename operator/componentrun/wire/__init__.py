"""What processes say to each other: JSON documents that stand between them.

loader    operator <-> loader: what is to be loaded, what is to be read, and what became of it
"""
