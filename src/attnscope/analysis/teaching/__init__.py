"""Attention in small: plain functions that show what each part of the formula does."""
