"""What traces tell: utilisation, overhead, predicted against measured, and whether it was legal."""
