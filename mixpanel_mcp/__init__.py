"""A self-hosted Model Context Protocol server for Mixpanel."""

__version__ = "0.1.0"
