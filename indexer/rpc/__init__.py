"""Talking to a node: messages, endpoints, ranges, and what an answer must show before it is believed."""
