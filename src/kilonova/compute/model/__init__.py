"""The nouns and the rules of compute. Pure: no input or output, no SQL, no HTTP."""
