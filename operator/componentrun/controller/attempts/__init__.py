"""What the start of an attempt reads and creates in the API server.

Modules, lowest first:

    secretvalues     reads Secrets that a run references
    parametersfrom   reads ConfigMaps with parameters
    podcreation      creates the pod of an attempt and its Secret
"""
