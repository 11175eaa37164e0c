"""Image generation: maps of each prompt word over the image, averaged while the denoiser runs."""
