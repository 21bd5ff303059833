"""`python -m edge_aigc.cli`: the command without its entry point."""

from edge_aigc.cli import main

if __name__ == "__main__":
    main()
