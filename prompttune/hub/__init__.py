"""Keys that others have: on the Hugging Face Hub, or in a zoo behind any HTTPS server."""
