"""Send podOS what is known of an order's production: that it began, that it is printed."""
