"""What can be wrong with a file, said to whoever named it."""


class OutsideError(Exception):
    """A path that does not name a plain file below the root."""


class UnreadableFileError(Exception):
    """A file that is not what its name says, is damaged, or changes while it is read."""
