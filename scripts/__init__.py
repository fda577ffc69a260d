"""What developers of the project run."""
