"""Where the data of images lies, and what looks into it while it passes."""
