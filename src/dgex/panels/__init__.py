"""Which genes to measure: panels of landmark genes for any organism, compared with others and drawn."""
