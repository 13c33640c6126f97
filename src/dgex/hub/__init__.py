"""Models shared over the Hugging Face Hub: what may go there, what may come from there."""
