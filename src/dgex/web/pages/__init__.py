"""What visitors see: HTML made of what is known, every text of a file escaped."""
