"""Prints the graph snapshot: `make snapshot` writes it to tests/graph.txt."""

import quality

for model in sorted(quality.tables(), key=lambda m: m.name):
    print(f"{model.name} ({', '.join(model.grain)}) <- {', '.join(model.upstream)}")
