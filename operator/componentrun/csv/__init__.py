"""CSV: dialects, headers, rows, types. Pure.

Modules, lowest first:

    dialect       separators and enclosures
    parse         field by field, with the place of an error
    text          headers, row borders and slices, fast
    types         whether values fit their types
    columnnames   names of columns
    columnfacts   types of columns
    convert       another dialect as plain CSV
"""
