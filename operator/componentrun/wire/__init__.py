"""What processes say to each other: JSON documents that stand between them.

<<<<<<< HEAD
loader    operator <-> loader: what is to be loaded, what is to be read, and what became of it
=======
    loader        operator <-> loader: what is to be loaded, what is to be read, and what became of it
    loaderaccess  how the loader is reached, and how it knows who asks

Nothing here sends or receives.
>>>>>>> loaderserver
"""
