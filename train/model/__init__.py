"""The network: its architecture, and the pre-trained one it is built on."""
