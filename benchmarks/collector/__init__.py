"""The collector's cost for each printed line."""
