"""How fast the agents move data, compared with s5cmd and DuckDB."""
