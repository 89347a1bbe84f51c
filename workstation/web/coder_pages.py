"""The pages of the coder: the work list."""

ROUTES = ()
