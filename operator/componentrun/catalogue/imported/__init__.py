"""Components of the original interface as Components. Pure: texts in, manifests and findings out.

Modules, lowest first:

    report       what an import collects: manifests and findings
    naming       names and types of components
    image        the image of a component
    settings     memory, timeout, network, logging and other settings
    schema       configuration schemas and default configurations
    index        the public component index
    repository   the folder `component_config` of a component's repository

What has no counterpart is never dropped in silence. If it can affect how the component runs, a finding names it. If it
only informs people or forms, it is kept in the annotation `componentrun.dev/imported`.
"""
