"""DIMSE and DICOMweb, both sides."""
