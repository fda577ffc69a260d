"""The nouns and the rules of images: pure, no I/O."""
