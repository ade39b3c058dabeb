"""Takes secret values out of texts.

Modules, lowest first:

    escapes    undoes escapes, so that an escaped secret is found
    shapes     secrets that are known by their form
    masks      values of `::add-mask::` lines
    redactor   takes values out of a text
    lines      takes values out of the lines of one container
    status     takes values out of a status and of actions
"""
