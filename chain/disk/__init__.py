"""What is kept: the database, its tables, and what is read from them."""
