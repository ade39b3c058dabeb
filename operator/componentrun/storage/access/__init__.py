"""What an attempt may read and write, as URLs and forms.

Modules, lowest first:

    grants          the only module that signs
    probing         tries whether a grant can be exceeded
    doctor          checks whether a store can do what is needed
    upload          a local table to the store, as stage-out does
    scope           what confines grants on a store
    reading         which rows of a table a run reads
    inputmanifest   manifests of input tables
    fileinput       input files
    attempt         what an attempt needs
    scans           input tables, from the loader's answer
    plans           plans and grants of an attempt
"""
