"""Numbers behind every claim: intervals, detection metrics, the logistic risk model."""
