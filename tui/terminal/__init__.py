"""A container's terminal in a pane of the app."""
