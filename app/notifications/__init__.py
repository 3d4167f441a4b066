"""Who is told what by mail: each once, written down in the transaction that it tells of."""
