"""Runs: tasks, workers that do them, and where what they found is kept."""
