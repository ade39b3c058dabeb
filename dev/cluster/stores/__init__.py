"""Object stores and Iceberg catalogs on this machine."""
