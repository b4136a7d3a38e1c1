"""What sending tracking and sending orders share: outbox, outcomes, retries."""
