"""Every table of the state folder; SQL is nowhere else in `workstation`."""
