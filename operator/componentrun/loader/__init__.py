"""Tables of an Apache Iceberg catalog: what they are called, and how they change.

What comes in: `CatalogSettings`, and what attempts have staged in the bucket. What goes out: commits to the catalog.
Done elsewhere: deciding when a run is published (`componentrun.core`), the bucket itself (`componentrun.storage`).

Modules, lowest first:

    names         table ids to namespaces and names in the catalog, and back

Only errors of `componentrun.errors` (and subclasses of them) leave this package. No other package imports PyIceberg.
"""
