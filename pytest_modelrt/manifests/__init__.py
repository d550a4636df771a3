"""Manifest files: load, check, compare, render, edit in place."""
