"""CSV: dialects, headers, rows, types. Pure.

Modules, lowest first:

    dialect       separators and enclosures
    parse         field by field, with the position of an error
    text          headers, row boundaries and slices, fast
    types         checks that values fit their types
    columnnames   selects columns by name
    columnfacts   types of columns
    convert       other dialects to plain CSV
"""
