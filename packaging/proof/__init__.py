"""What prove.py is made of: bare roots, a screen with hands, and the main job done with them."""
