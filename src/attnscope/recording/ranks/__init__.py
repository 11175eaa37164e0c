"""Models that several processes run together, each with some of the heads: tensor parallel."""
