"""What happened: chains and platforms, streamed into the lake's raw tables."""
