"""`python -m mixpanel_mcp`, the same as the `mixpanel-mcp` command."""

from mixpanel_mcp.cli import main

if __name__ == "__main__":
    main()
