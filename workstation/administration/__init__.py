"""What an administrator sees and does, at the command line and in the console."""
