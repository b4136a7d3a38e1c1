"""What the tasks need of Prefect."""
