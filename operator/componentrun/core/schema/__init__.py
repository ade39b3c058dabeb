"""Check of parameters against the JSON Schemas of a Component.

Modules, lowest first:

    documents    what a check is asked and answers, as plain dataclasses
    words        what a keyword of a schema expects, in words
    check        the check itself, with jsonschema-rs; run it where it can be stopped (`controller.schemacheck`)
    parameters   schemas of a Component, parameters of a run, and what a failed check means for the run
"""
