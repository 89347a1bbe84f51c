"""What one DICOM file says."""
