"""The sidecar: uploads what the component wrote.

Modules, lowest first:

    waiting          waits for the component to end
    layout           columns and first row of an output file
    manifestvalues   parses values of manifests
    manifestkeys     checks keys of manifests
    manifest         parses manifests
    checking         checks rows in separate processes
    kept             stores results, usage and artifacts
    packing          compresses rows
    outputs          decides which file becomes which table
    fileoutputs      decides which files are stored
    outputsizes      determines the size of all output
    upload           uploads tables in slices
    fileupload       uploads files
    main             entry point of stage-out
"""
