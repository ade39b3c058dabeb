"""What is known of a Component besides its spec, and what follows for its runs.

Modules, lowest first:

    deprecation   warnings and refusals of runs of deprecated Components
    status        status of a Component
"""
