"""One module a version, named by it. What stands here is never changed again: databases were made by it."""
