"""Backups of a site, made while everything runs, and restored into nothing."""
