"""The rules of the house, checked: walls, sizes, docstrings, protos, words."""
