"""The same questions asked of attnscope and of its peers, on the same weights and the same text."""
