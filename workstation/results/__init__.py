"""What a referring physician is shown of a signed session, by a link."""
