"""The two databases: column types, connections, statements that are compiled once."""
