"""What people and programs are shown: words, shapes, documents, proofs."""
