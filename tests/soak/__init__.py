"""A soak: everything at once against a podOS at its worst, with processes killed and a disk that fills up."""
