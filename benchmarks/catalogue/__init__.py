"""Catalogues of Components, applied and listed with the command line."""
