"""HL7 v2: reading and writing messages, and sending them over MLLP."""
