"""Systems under test, run in turn in processes of their own."""
