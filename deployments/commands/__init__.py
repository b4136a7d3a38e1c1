"""The commands of `desk`, a module a topic; each registers its commands on the app."""
