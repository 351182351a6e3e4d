"""The language: text to syntax, syntax to a checked model, a checked model to the dataflow graph."""
