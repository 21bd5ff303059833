"""What a device needs, one file a concern; `checks.py` lists them."""
