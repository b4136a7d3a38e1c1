"""Compare podOS and the desk, order by order."""
