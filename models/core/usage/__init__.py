"""Calls, and daily states of them that add up."""
