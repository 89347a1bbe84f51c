"""Other DICOM nodes: known, asked, sent to, committed."""
