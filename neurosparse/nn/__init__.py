"""The trainable side: `SparseLinear`, `SparseSNN` and their conversion to and from `neurosparse.Network`."""
