"""What builds the documentation site besides Sphinx: pages made from the code, links, equations, pictures."""
