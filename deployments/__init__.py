"""How it runs: command line, local stack, sandbox podOS."""
