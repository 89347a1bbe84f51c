"""HL7 v2 as a language, and its wire."""
