"""The chain we carry with us: a real EVM behind loopback JSON-RPC, and recordings served the same way.

What is simulated and what is not: contracts run on a real EVM, and blocks, receipts, roots and hashes verify like any
chain's. Signatures are not checked, stateRoot is no state trie, fees are not modelled, and storage stays warm between
transactions, so gas used is lower than on a network.
"""
