"""What is measured, not tested: `make bench`. Not part of the test run."""
