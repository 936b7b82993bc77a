"""What happened in a run: facts (`model`), what they come to (`tree`), and the file that keeps them (`store`)."""
