"""One module a version. What stands here is never changed again."""
