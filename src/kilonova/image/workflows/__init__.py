"""Operations of several steps, each of which leaves nothing when it fails."""
