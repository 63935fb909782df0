"""What the benchmarks share: the engine, a stack of their own, HTTP, texts to teach, and figures with their bounds."""
