"""The balanced random network of Brunel (2000) beside NEST and Brian2: `make bench-brunel`."""
