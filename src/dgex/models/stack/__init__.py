"""The best of several methods, gene by gene: members, what they predict of profiles held out, and their weights."""
