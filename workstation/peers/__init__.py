"""Other DICOM nodes: the list of them, queries, transfers and storage commitment."""
