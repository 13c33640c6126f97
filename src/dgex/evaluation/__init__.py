"""Models x held-out profiles -> tables: how well each target gene is inferred, and by which model best."""
