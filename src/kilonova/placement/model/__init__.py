"""The nouns and rules of Placement, pure: providers, inventories, the search for candidates, the check of claims."""
