"""The scheduler: a snapshot of the hosts in; an ordered choice, or a refusal that says why, out."""
