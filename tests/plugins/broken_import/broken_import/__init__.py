"""A package whose models need a library that nobody has."""
