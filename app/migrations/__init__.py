"""How the tables came to be, step by step (alembic). `shopbridge migrate` runs what is missing."""
