"""What each request passes on its way in, and each answer on its way out."""
