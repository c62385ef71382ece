"""ringsim."""
