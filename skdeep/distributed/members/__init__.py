"""What runs on the workers: members that train together, and the ring that connects them."""
