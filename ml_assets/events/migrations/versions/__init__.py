"""One file a change of the event store's layout."""
