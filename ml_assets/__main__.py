"""`python -m ml_assets`: the `ml-assets` command."""

from ml_assets.cli import main

if __name__ == "__main__":
    main()
