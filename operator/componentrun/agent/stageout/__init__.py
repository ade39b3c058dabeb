"""The sidecar: uploads what the component wrote.

Modules, lowest first:

    waiting          waits for the end of the component
    layout           what lies in the output folder
    manifestvalues   values in manifests
    manifestkeys     keys of manifests
    manifest         reads manifests
    checking         checks rows while they travel
    kept             output that is already where it belongs
    packing          compresses rows
    outputs          which file becomes which table
    fileoutputs      which file becomes which stored file
    outputsizes      sizes of all output, before the upload
    upload           tables to the store, in slices
    fileupload       files to the store
    main             the whole stage-out
"""
