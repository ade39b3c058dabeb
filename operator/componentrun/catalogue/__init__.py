"""Catalogues: many Components as one unit that is built, checked, compared, stored in a registry and applied.

A catalogue is a folder of Component files, or the bundle that is built from one. Only the command line uses it; the
operator sees the Components alone.

Packages and modules, lowest first:

    limits      how large a catalogue and its parts may be
    yamltext    YAML as kubectl reads it
    entry       a Component of a catalogue, the catalogue itself, and findings about them
    settings    the name of a catalogue
    dialects    configuration schemas that are no valid JSON Schema, as valid ones
    imported    components of the original interface as Components
    manifests   files with Components: YAML and JSON as entries
    folder      reads a folder
    bundle      one file that holds a catalogue: deterministic, with a digest
    schemas     findings about configuration schemas and default configurations
    references  findings about Components that name other Components
    lint        findings about a catalogue
    defaults    Components with the defaults that the API server adds
    difference  what differs between two catalogues
    sync        what has to be written so that a cluster has a catalogue
    search      Components that match words

`folder` reads files; nothing else here reads or sends anything.
"""
