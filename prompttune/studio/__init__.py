"""A page on this machine: label some images, see the answers on others, tune, and save the key."""
