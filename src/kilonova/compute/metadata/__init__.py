"""What a guest is told about itself: the documents (pure), and the service at 169.254.169.254."""
