"""Images, masks and presentation states that we write."""
