"""Closed formulas: degrees of asynchronicity, makespans, improvement, bounds."""
