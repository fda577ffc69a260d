"""What blocks or touches the disk: password hashing in threads, Fernet key repositories."""
