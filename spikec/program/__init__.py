"""Programs: the layout of a partition, its PyTensor source, and everything on disk."""
