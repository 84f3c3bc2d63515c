"""What a key is compared with: networks trained on the same images, and a second annotator."""
