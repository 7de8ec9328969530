"""Logs of one event as typed columns: a columnar path, a strict row path, and what neither could read."""

from indexer.decode.columnar import CHUNK, Decoded, Refusal, decode
from indexer.decode.shapes import columns_of

__all__ = ["CHUNK", "Decoded", "Refusal", "columns_of", "decode"]
