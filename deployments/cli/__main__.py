"""``python -m deployments.cli`` is ``desk``."""

from deployments.cli.app import main

if __name__ == "__main__":
    main()
