"""What RIS, worklist and reports say of an accession."""
