"""Pages: pure views of the journal."""
