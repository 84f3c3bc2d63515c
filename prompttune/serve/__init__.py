"""An HTTP server: one resident backbone, many keys, requests that share its batches."""
