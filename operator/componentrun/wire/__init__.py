"""What processes say to each other: JSON documents that stand between them.

    loader        operator <-> loader: what is to be loaded, what is to be read, and what became of it
    loaderaccess  how the loader is reached, and how it knows who asks
    parquet       which files hold the rows of a table; part of stage-in's plan

Nothing here sends or receives.
"""
