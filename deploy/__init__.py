"""What the server runs in and on: images, clusters, and what checks them."""
