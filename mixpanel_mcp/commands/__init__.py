"""What the command line does with a project itself: no server, and no protocol."""
