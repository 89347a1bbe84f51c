"""An accession decided, and its charges and credits written."""
