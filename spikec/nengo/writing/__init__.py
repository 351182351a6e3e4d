"""A Nengo network as text of the language."""
