"""Every table of the state folder; no other room of `workstation` uses SQL."""
