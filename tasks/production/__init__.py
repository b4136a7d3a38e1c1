"""Tell podOS that production began, and that an order is printed."""
