"""One file a step; revisions are counted up from 0001."""
