"""Redact secret values.

Modules, lowest first:

    escapes    decodes escapes, so that escaped secrets are found
    shapes     secrets that are recognised by their form
    masks      values of `::add-mask::` lines
    redactor   redacts a text
    lines      redacts the lines of one container
    status     redacts a status and actions
"""
