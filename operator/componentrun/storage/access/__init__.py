"""What an attempt may read and write, as URLs and forms.

Modules, lowest first:

    grants          the only module that signs
    probing         tests whether a grant can be exceeded
    doctor          checks whether a store meets the requirements
    upload          uploads a local table, as stage-out does
    scope           what restricts grants on a store
    reading         which rows of a table a run reads
    inputmanifest   manifests of input tables
    fileinput       input files
    attempt         what an attempt needs
    scans           input tables, from the loader's answer
    plans           plans and grants of an attempt
"""
