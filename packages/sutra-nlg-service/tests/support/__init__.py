"""What several tests need. It imports numpy alone; only the GGUF form needs the package gguf."""
