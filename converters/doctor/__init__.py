"""What the machine that converts needs, one file a concern; `checks.py` lists them."""
